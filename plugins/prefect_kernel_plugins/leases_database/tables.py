"""The table of leases: a row for each limit that a lease is on, or one without a limit for a lease on none."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import UUID, Timestamp

kernel_lease = sa.Table(
    "kernel_lease",
    metadata,
    sa.Column("lease_id", UUID(), primary_key=True),
    sa.Column("number", sa.Integer(), primary_key=True),
    sa.Column("limit_id", UUID()),
    sa.Column("slots", sa.Integer(), nullable=False),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("expires", Timestamp(), nullable=False),
    sa.Column("holder_type", sa.String()),
    sa.Column("holder_id", UUID()),
)
