"""Table of CSRF tokens, one per client."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import UUID, Timestamp

csrf_token = sa.Table(
    "csrf_token",
    metadata,
    sa.Column("token", sa.String(), nullable=False),
    sa.Column("client", sa.String(), nullable=False),
    sa.Column("expiration", Timestamp(), nullable=False),
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
)
