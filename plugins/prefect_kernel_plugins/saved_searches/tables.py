"""Table of saved searches."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import JSON, UUID, Timestamp

saved_search = sa.Table(
    "saved_search",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("filters", JSON(), nullable=False),
)
