"""Tables of task runs: the runs, their states, and the cache of states by key."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import JSON, UUID, Interval, Prose, Timestamp

from ..schema.enums import STATE_TYPE

task_run = sa.Table(
    "task_run",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("state_type", STATE_TYPE),
    sa.Column("run_count", sa.Integer(), nullable=False),
    sa.Column("expected_start_time", Timestamp()),
    sa.Column("next_scheduled_start_time", Timestamp()),
    sa.Column("start_time", Timestamp()),
    sa.Column("end_time", Timestamp()),
    sa.Column("total_run_time", Interval(), nullable=False),
    sa.Column("task_key", sa.String(), nullable=False),
    sa.Column("dynamic_key", sa.String(), nullable=False),
    sa.Column("cache_key", sa.String()),
    sa.Column("cache_expiration", Timestamp()),
    sa.Column("task_version", sa.String()),
    sa.Column("empirical_policy", JSON(), nullable=False),
    sa.Column("task_inputs", JSON(), nullable=False),
    sa.Column("tags", JSON(), nullable=False),
    sa.Column("flow_run_id", UUID()),
    sa.Column("state_id", UUID()),
    sa.Column("state_name", sa.String()),
    sa.Column("state_timestamp", Timestamp()),
    sa.Column("flow_run_run_count", sa.Integer(), nullable=False),
    sa.Column("labels", JSON()),
)

task_run_state = sa.Table(
    "task_run_state",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("type", STATE_TYPE, nullable=False),
    sa.Column("timestamp", Timestamp(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("message", Prose()),
    sa.Column("state_details", JSON(), nullable=False),
    sa.Column("data", JSON()),
    sa.Column("task_run_id", UUID(), nullable=False),
    sa.Column("result_artifact_id", UUID()),
)

task_run_state_cache = sa.Table(
    "task_run_state_cache",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("cache_key", sa.String(), nullable=False),
    sa.Column("cache_expiration", Timestamp()),
    sa.Column("task_run_state_id", UUID(), nullable=False),
)

task_claim = sa.Table(
    "kernel_task_claim",
    metadata,
    sa.Column("task_run_id", UUID(), primary_key=True),
    sa.Column("state_id", UUID(), nullable=False),
    sa.Column("expires", Timestamp()),
    sa.Column("token", UUID()),
)
"""Who has been handed a deferred run; the kernel's own table. `token` is known to who has claimed it alone."""
