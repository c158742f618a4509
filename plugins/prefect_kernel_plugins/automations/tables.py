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

# ---------------------------------------------------------------- the kernel's own
trigger_event = sa.Table(
    "kernel_trigger_event",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("event_id", UUID(), nullable=False),
)
"""Events that triggers have not yet seen, in their order."""

proactive_run = sa.Table(
    "kernel_proactive_run",
    metadata,
    sa.Column("trigger_id", UUID(), primary_key=True),
    sa.Column("due", Timestamp(), nullable=False),
)
"""When a proactive trigger is looked at next."""

automation_firing = sa.Table(
    "kernel_automation_firing",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("automation_id", UUID(), nullable=False),
    sa.Column("fired", Timestamp(), nullable=False),
    sa.Column("event_id", UUID(), nullable=False),
    sa.Column("automation", sa.Text(), nullable=False),
    sa.Column("firing", sa.Text(), nullable=False),
)
"""What fired; with the automation as it was then, as JSON."""

automation_action = sa.Table(
    "kernel_automation_action",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("firing_id", UUID(), nullable=False),
    sa.Column("automation_id", UUID(), nullable=False),
    sa.Column("number", sa.Integer(), nullable=False),
    sa.Column("action", sa.Text(), nullable=False),
    sa.Column("event", sa.Text()),
    sa.Column("status", sa.String(), nullable=False),
    sa.Column("attempts", sa.Integer(), nullable=False),
    sa.Column("due", Timestamp(), nullable=False),
    sa.Column("error", sa.Text()),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
)
"""Actions to be done, one row each. `status` is `pending`, `done`, `failed` (the action said so) or `dead` (it was
tried too often); `due` is when it may be tried, or tried again when whoever tries it now does not come back."""
