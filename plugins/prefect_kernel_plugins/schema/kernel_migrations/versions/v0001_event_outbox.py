"""The outbox of events, and the ledger of plugins' own migrations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from prefect_kernel_plugins.schema.kernel_migrations import ID, SEQUENCE, TIMESTAMP, now

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make both tables."""
    # AUTOINCREMENT: a sequence number is never given twice, even after the outbox has been emptied.
    op.create_table(
        "kernel_event_outbox",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("id", ID, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("created", TIMESTAMP, nullable=False, server_default=now()),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "kernel_migration",
        sa.Column("plugin", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("applied", TIMESTAMP, nullable=False, server_default=now()),
        sa.PrimaryKeyConstraint("plugin", "revision", name="pk_kernel_migration"),
    )
