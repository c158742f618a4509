"""Tables of API keys and users."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import UUID, Bool, Timestamp

api_key = sa.Table(
    "kernel_api_key",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("digest", sa.String(), nullable=False),
    sa.Column("hint", sa.String(), nullable=False),
    sa.Column("scope", sa.String(), nullable=False),
    sa.Column("expires", Timestamp()),
    sa.Column("created_by", sa.String()),
)

user = sa.Table(
    "kernel_user",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("password", sa.String(), nullable=False),
    sa.Column("role", sa.String(), nullable=False),
    sa.Column("enabled", Bool(), nullable=False),
)
