"""Indexes for lists of flow runs, which clients sort by (expected) start and filter by state, deployment or flow.

With them a page is read from an index in its order, whatever the number of runs:

- `start`: POST /flow_runs/filter sorted by START_TIME_…, or with `start_time`. (Prefect has it on PostgreSQL.)
- `state_type_expected_start`: sorted by EXPECTED_START_TIME_… with state types (one index range for each of them).
- `deployment_id_start`, `flow_id_start`: the runs of one deployment or of one flow, sorted by START_TIME_….
"""

from __future__ import annotations

from alembic import op

from prefect_kernel_plugins.schema.kernel_migrations import create_index

revision = "0002"
down_revision = "0001"

START = "coalesce(start_time, expected_start_time)"


def upgrade() -> None:
    """Make the indexes."""
    if op.get_context().dialect.name == "sqlite":
        create_index("kernel_ix_flow_run__start", f"flow_run ({START})")
    create_index("kernel_ix_flow_run__state_type_expected_start", "flow_run (state_type, expected_start_time)")
    create_index("kernel_ix_flow_run__deployment_id_start", f"flow_run (deployment_id, {START})")
    create_index("kernel_ix_flow_run__flow_id_start", f"flow_run (flow_id, {START})")
