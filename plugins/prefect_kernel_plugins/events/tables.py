"""Tables of events, and of the resources they name."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import JSON, UUID, Timestamp

events = sa.Table(
    "events",
    metadata,
    sa.Column("occurred", Timestamp(), nullable=False),
    sa.Column("event", sa.Text(), nullable=False),
    sa.Column("resource_id", sa.Text(), nullable=False),
    sa.Column("resource", JSON(), nullable=False),
    sa.Column("related_resource_ids", JSON(), nullable=False),
    sa.Column("related", JSON(), nullable=False),
    sa.Column("payload", JSON(), nullable=False),
    sa.Column("received", Timestamp(), nullable=False),
    sa.Column("recorded", Timestamp(), nullable=False),
    sa.Column("follows", UUID()),
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
)

event_resources = sa.Table(
    "event_resources",
    metadata,
    sa.Column("occurred", Timestamp(), nullable=False),
    sa.Column("resource_id", sa.Text(), nullable=False),
    sa.Column("resource_role", sa.Text(), nullable=False),
    sa.Column("resource", JSON(binary=False), nullable=False),
    sa.Column("event_id", UUID(), nullable=False),
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
)
