"""Which background tasks have been handed to a task worker (see `task_runs/claims.py`)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from prefect_kernel_plugins.schema.kernel_migrations import ID, TIMESTAMP

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "kernel_task_claim",
        sa.Column("task_run_id", ID, primary_key=True),
        sa.Column("state_id", ID, nullable=False),
        sa.Column("expires", TIMESTAMP),
    )
