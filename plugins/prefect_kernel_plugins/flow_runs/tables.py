"""Tables of flow runs: the runs, the states they went through, and the inputs sent to them."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import JSON, UUID, Bool, Interval, Prose, Timestamp

from ..schema.enums import STATE_TYPE

flow_run = sa.Table(
    "flow_run",
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
    sa.Column("flow_version", sa.String()),
    sa.Column("parameters", JSON(), nullable=False),
    sa.Column("idempotency_key", sa.String()),
    sa.Column("context", JSON(), nullable=False),
    sa.Column("empirical_policy", JSON(), nullable=False),
    sa.Column("tags", JSON(), nullable=False),
    sa.Column("auto_scheduled", Bool(), nullable=False),
    sa.Column("flow_id", UUID(), nullable=False),
    sa.Column("deployment_id", UUID()),
    sa.Column("parent_task_run_id", UUID()),
    sa.Column("state_id", UUID()),
    sa.Column("state_name", sa.String()),
    sa.Column("infrastructure_document_id", UUID()),
    sa.Column("work_queue_name", sa.String()),
    sa.Column("state_timestamp", Timestamp()),
    sa.Column("created_by", JSON()),
    sa.Column("infrastructure_pid", sa.String()),
    sa.Column("work_queue_id", UUID()),
    sa.Column("job_variables", JSON()),
    sa.Column("deployment_version", sa.String()),
    sa.Column("labels", JSON()),
)

flow_run_state = sa.Table(
    "flow_run_state",
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
    sa.Column("flow_run_id", UUID(), nullable=False),
    sa.Column("result_artifact_id", UUID()),
)

flow_run_input = sa.Table(
    "flow_run_input",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("key", sa.String(), nullable=False),
    sa.Column("value", sa.Text(), nullable=False),
    sa.Column("flow_run_id", UUID(), nullable=False),
    sa.Column("sender", sa.String()),
)
