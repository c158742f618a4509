"""Tables of agreements and of what has violated them."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import UUID, Bool, Timestamp

sla = sa.Table(
    "kernel_sla",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("deployment_id", UUID(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("severity", sa.String(), nullable=False),
    sa.Column("enabled", Bool(), nullable=False),
    sa.Column("kind", sa.String(), nullable=False),
    sa.Column("seconds", sa.Float(), nullable=False),
)
"""`kind` is `duration`, `within` or `stale_after`, after the member that says how many seconds."""

violation = sa.Table(
    "kernel_sla_violation",
    metadata,
    sa.Column("sla_id", UUID(), primary_key=True),
    sa.Column("subject_id", UUID(), primary_key=True),
    sa.Column("event_id", UUID(), nullable=False),
    sa.Column("occurred", Timestamp(), nullable=False),
    sa.Column("cleared", Timestamp()),
)
"""What has violated an agreement: a flow run, or the deployment itself; each is told once.

A silence of a deployment that is over has the id of its event as its subject: the deployment may fall silent again.
"""
