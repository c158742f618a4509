"""Tables of work pools, their queues and workers, and the agents of Prefect 2."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import JSON, UUID, Bool, Timestamp

from ..schema.enums import WORK_POOL_STATUS, WORK_QUEUE_STATUS, WORKER_STATUS

work_pool = sa.Table(
    "work_pool",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("description", sa.String()),
    sa.Column("type", sa.String(), nullable=False),
    sa.Column("base_job_template", JSON(), nullable=False),
    sa.Column("is_paused", Bool(), nullable=False),
    sa.Column("concurrency_limit", sa.Integer()),
    sa.Column("default_queue_id", UUID()),
    sa.Column("status", WORK_POOL_STATUS, nullable=False),
    sa.Column("last_transitioned_status_at", Timestamp()),
    sa.Column("last_status_event_id", UUID()),
    sa.Column("storage_configuration", JSON(), nullable=False),
)

work_queue = sa.Table(
    "work_queue",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("filter", JSON()),
    sa.Column("description", sa.String(), nullable=False),
    sa.Column("is_paused", Bool(), nullable=False),
    sa.Column("concurrency_limit", sa.Integer()),
    sa.Column("last_polled", Timestamp()),
    sa.Column("priority", sa.Integer(), nullable=False),
    sa.Column("work_pool_id", UUID(), nullable=False),
    sa.Column("status", WORK_QUEUE_STATUS, nullable=False),
)

worker = sa.Table(
    "worker",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("last_heartbeat_time", Timestamp(), nullable=False),
    sa.Column("work_pool_id", UUID(), nullable=False),
    sa.Column("heartbeat_interval_seconds", sa.Integer()),
    sa.Column("status", WORKER_STATUS, nullable=False),
)

agent = sa.Table(
    "agent",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("last_activity_time", Timestamp(), nullable=False),
    sa.Column("work_queue_id", UUID(), nullable=False),
)
