"""Indexes for services that look for few runs among many.

- `due`: scheduled runs that are not late yet, by their time; runs that are late already, however many, are not in it.
- `subflows` (SQLite): subflows that have not ended. PostgreSQL does well without it.

States come first in them although all runs in them are so: otherwise SQLite, which keeps no statistics, takes the index
on states alone instead.
"""

from __future__ import annotations

from alembic import op

from prefect_kernel_plugins.schema.kernel_migrations import create_index

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the indexes."""
    create_index(
        "kernel_ix_flow_run__due",
        "flow_run (state_name, next_scheduled_start_time) WHERE state_type = 'SCHEDULED' AND state_name = 'Scheduled'",
    )
    if op.get_context().dialect.name == "sqlite":
        create_index(
            "kernel_ix_flow_run__subflows",
            "flow_run (state_type, id) WHERE parent_task_run_id IS NOT NULL"
            " AND state_type IN ('PENDING', 'SCHEDULED', 'RUNNING', 'PAUSED', 'CANCELLING')",
        )
