"""Tables of artifacts, and of the latest one of each key."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import JSON, UUID, Timestamp

artifact = sa.Table(
    "artifact",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("key", sa.String()),
    sa.Column("type", sa.String()),
    sa.Column("data", JSON(binary=False)),
    sa.Column("metadata_", JSON(binary=False)),
    sa.Column("task_run_id", UUID()),
    sa.Column("flow_run_id", UUID()),
    sa.Column("description", sa.String()),
)

artifact_collection = sa.Table(
    "artifact_collection",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("key", sa.String(), nullable=False),
    sa.Column("latest_id", UUID(), nullable=False),
    sa.Column("task_run_id", UUID()),
    sa.Column("flow_run_id", UUID()),
    sa.Column("type", sa.String()),
    sa.Column("data", JSON(binary=False)),
    sa.Column("description", sa.String()),
    sa.Column("metadata_", JSON(binary=False)),
)
