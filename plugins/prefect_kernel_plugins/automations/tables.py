"""Tables of automations and of the state of their triggers."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import JSON, UUID, Bool, Timestamp

automation = sa.Table(
    "automation",
    metadata,
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("description", sa.String(), nullable=False),
    sa.Column("enabled", Bool(), nullable=False),
    sa.Column("trigger", JSON(), nullable=False),
    sa.Column("actions", JSON(), nullable=False),
    sa.Column("actions_on_trigger", JSON(), nullable=False),
    sa.Column("actions_on_resolve", JSON(), nullable=False),
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("tags", JSON(), nullable=False),
)

automation_bucket = sa.Table(
    "automation_bucket",
    metadata,
    sa.Column("automation_id", UUID(), nullable=False),
    sa.Column("trigger_id", UUID(), nullable=False),
    sa.Column("bucketing_key", JSON(), nullable=False),
    sa.Column("last_event", JSON()),
    sa.Column("start", Timestamp(), nullable=False),
    sa.Column("end", Timestamp(), nullable=False),
    sa.Column("count", sa.Integer(), nullable=False),
    sa.Column("last_operation", sa.String()),
    sa.Column("triggered_at", Timestamp()),
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
)

automation_related_resource = sa.Table(
    "automation_related_resource",
    metadata,
    sa.Column("automation_id", UUID(), nullable=False),
    sa.Column("resource_id", sa.String()),
    sa.Column("automation_owned_by_resource", Bool(), nullable=False),
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
)

automation_event_follower = sa.Table(
    "automation_event_follower",
    metadata,
    sa.Column("leader_event_id", UUID(), nullable=False),
    sa.Column("follower_event_id", UUID(), nullable=False),
    sa.Column("received", Timestamp(), nullable=False),
    sa.Column("follower", JSON(), nullable=False),
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("scope", sa.String(), nullable=False),
)

composite_trigger_child_firing = sa.Table(
    "composite_trigger_child_firing",
    metadata,
    sa.Column("automation_id", UUID(), nullable=False),
    sa.Column("parent_trigger_id", UUID(), nullable=False),
    sa.Column("child_trigger_id", UUID(), nullable=False),
    sa.Column("child_firing_id", UUID(), nullable=False),
    sa.Column("child_fired_at", Timestamp()),
    sa.Column("child_firing", JSON(), nullable=False),
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
)
