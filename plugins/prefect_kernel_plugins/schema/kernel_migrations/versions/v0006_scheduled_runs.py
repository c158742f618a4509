"""Indexes for those who ask for work, and for what their asking keeps up to date.

- `queue_next`: the scheduled runs of a work queue in their order, and how many of its runs hold slots. Runs that are in
  no queue are not in it.
- `deployment_next`: the scheduled runs of deployments in their order.
- `deployment__readiness`: whether a deployment of a queue is yet to be marked as polled.
"""

from __future__ import annotations

from prefect_kernel_plugins.schema.kernel_migrations import create_index

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the indexes."""
    create_index(
        "kernel_ix_flow_run__queue_next",
        "flow_run (work_queue_id, state_type, next_scheduled_start_time) WHERE work_queue_id IS NOT NULL",
    )
    create_index(
        "kernel_ix_flow_run__deployment_next",
        "flow_run (deployment_id, next_scheduled_start_time) WHERE state_type = 'SCHEDULED'",
    )
    create_index("kernel_ix_deployment__readiness", "deployment (work_queue_id, status, last_polled)")
