"""Leases of concurrency slots, which come and go in the transaction of the slots (see `leases_database`).

Those that have run out are found by their end, and those on a limit, or of a holder, by that.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from prefect_kernel_plugins.schema.kernel_migrations import ID, TIMESTAMP, create_index

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "kernel_lease",
        sa.Column("lease_id", ID, primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("limit_id", ID),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("created", TIMESTAMP, nullable=False),
        sa.Column("expires", TIMESTAMP, nullable=False),
        sa.Column("holder_type", sa.String()),
        sa.Column("holder_id", ID),
    )
    create_index("kernel_ix_lease__expires", "kernel_lease (expires) WHERE number = 0", new=True)
    create_index("kernel_ix_lease__limit", "kernel_lease (limit_id) WHERE limit_id IS NOT NULL", new=True)
    create_index("kernel_ix_lease__holder", "kernel_lease (holder_id) WHERE holder_id IS NOT NULL", new=True)
