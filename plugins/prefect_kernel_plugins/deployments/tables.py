"""Tables of deployments and their schedules.

`deployment_version` is in the database too, but neither Prefect 3.8.8 nor the kernel reads it.
"""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import JSON, UUID, Bool, Timestamp

from ..schema.enums import DEPLOYMENT_STATUS

deployment = sa.Table(
    "deployment",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("tags", JSON(), nullable=False),
    sa.Column("parameters", JSON(), nullable=False),
    sa.Column("flow_id", UUID(), nullable=False),
    sa.Column("description", sa.Text()),
    sa.Column("infrastructure_document_id", UUID()),
    sa.Column("parameter_openapi_schema", JSON()),
    sa.Column("storage_document_id", UUID()),
    sa.Column("version", sa.String()),
    sa.Column("infra_overrides", JSON(), nullable=False),
    sa.Column("path", sa.String()),
    sa.Column("entrypoint", sa.String()),
    sa.Column("work_queue_name", sa.String()),
    sa.Column("created_by", JSON()),
    sa.Column("updated_by", JSON()),
    sa.Column("work_queue_id", UUID()),
    sa.Column("pull_steps", JSON()),
    sa.Column("enforce_parameter_schema", Bool(), nullable=False),
    sa.Column("last_polled", Timestamp()),
    sa.Column("paused", Bool(), nullable=False),
    sa.Column("status", DEPLOYMENT_STATUS, nullable=False),
    sa.Column("concurrency_limit", sa.Integer()),
    sa.Column("concurrency_options", JSON()),
    sa.Column("concurrency_limit_id", UUID()),
    sa.Column("labels", JSON()),
    sa.Column("version_id", UUID()),
)

deployment_schedule = sa.Table(
    "deployment_schedule",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("schedule", JSON(), nullable=False),
    sa.Column("active", Bool(), nullable=False),
    sa.Column("deployment_id", UUID(), nullable=False),
    sa.Column("max_scheduled_runs", sa.Integer()),
    sa.Column("parameters", JSON(), nullable=False),
    sa.Column("slug", sa.String()),
)
