"""The table of changes."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import UUID, Timestamp

audit = sa.Table(
    "kernel_audit",
    metadata,
    sa.Column("seq", sa.BigInteger(), primary_key=True),
    sa.Column("at", Timestamp(), nullable=False),
    sa.Column("request_id", UUID(), nullable=False),
    sa.Column("actor", sa.String(), nullable=False),
    sa.Column("way", sa.String(), nullable=False),
    sa.Column("client", sa.String()),
    sa.Column("permission", sa.String(), nullable=False),
    sa.Column("operation", sa.String(), nullable=False),
    sa.Column("method", sa.String(), nullable=False),
    sa.Column("path", sa.String(), nullable=False),
    sa.Column("object", sa.String()),
    sa.Column("status", sa.Integer()),
)
