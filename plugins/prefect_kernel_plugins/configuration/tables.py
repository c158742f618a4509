"""Table of what a server keeps about itself by key."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import JSON, UUID, Timestamp

configuration = sa.Table(
    "configuration",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("key", sa.String(), nullable=False),
    sa.Column("value", JSON(), nullable=False),
)
