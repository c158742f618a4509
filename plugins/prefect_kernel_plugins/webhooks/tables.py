"""The table of webhooks."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import UUID, Bool, Timestamp

webhook = sa.Table(
    "kernel_webhook",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("slug", sa.String(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("template", sa.Text(), nullable=False),
    sa.Column("enabled", Bool(), nullable=False),
    sa.Column("verify", sa.String(), nullable=False),
    sa.Column("header", sa.String()),
    sa.Column("secret", sa.Text()),
    sa.Column("timestamp_header", sa.String()),
    sa.Column("tolerance_seconds", sa.Integer()),
)
"""`verify` is `secret`, `hmac-sha256` or `none`; `header` is where the secret or the signature comes; `secret` is
encrypted as block documents are. With a `timestamp_header` the time that it carries is signed, too, and must be now,
within the tolerance."""
