"""Table of the concurrency limits by tag (the first version)."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import JSON, UUID, Timestamp

concurrency_limit = sa.Table(
    "concurrency_limit",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("tag", sa.String(), nullable=False),
    sa.Column("concurrency_limit", sa.Integer(), nullable=False),
    sa.Column("active_slots", JSON(), nullable=False),
)
