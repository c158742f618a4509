"""A covering index for POST /flow_runs/history on SQLite (see `flow_runs/history_sqlite.py`)."""

from __future__ import annotations

from alembic import op

from prefect_kernel_plugins.schema.kernel_migrations import create_index

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the index; PostgreSQL groups by hashing and needs none."""
    if op.get_context().dialect.name == "sqlite":
        columns = "state_type, state_name, expected_start_time, start_time, total_run_time, state_timestamp"
        create_index("kernel_ix_flow_run__history", f"flow_run ({columns})")
