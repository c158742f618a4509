"""By which token a claim on a background task is renewed, kept or given up (see `task_runs/claims.py`)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from prefect_kernel_plugins.schema.kernel_migrations import ID

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column; claims of a server that does not know it have none, and expire or stay as they are."""
    op.add_column("kernel_task_claim", sa.Column("token", ID))
