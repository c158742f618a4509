"""Table of the concurrency limits by name."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import UUID, Bool, Timestamp

concurrency_limit_v2 = sa.Table(
    "concurrency_limit_v2",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("active", Bool(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("limit", sa.Integer(), nullable=False),
    sa.Column("active_slots", sa.Integer(), nullable=False),
    sa.Column("denied_slots", sa.Integer(), nullable=False),
    sa.Column("slot_decay_per_second", sa.Float(), nullable=False),
    sa.Column("avg_slot_occupancy_seconds", sa.Float(), nullable=False),
)
