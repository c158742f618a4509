"""Inbound webhooks, agreements about deployments, and what has violated them (see `webhooks` and `slas`)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from prefect_kernel_plugins.schema.kernel_migrations import ID, TIMESTAMP, create_index

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "kernel_webhook",
        sa.Column("id", ID, primary_key=True),
        sa.Column("created", TIMESTAMP, nullable=False),
        sa.Column("updated", TIMESTAMP, nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("verify", sa.String(), nullable=False),
        sa.Column("header", sa.String()),
        sa.Column("secret", sa.Text()),
    )
    op.create_table(
        "kernel_sla",
        sa.Column("id", ID, primary_key=True),
        sa.Column("created", TIMESTAMP, nullable=False),
        sa.Column("updated", TIMESTAMP, nullable=False),
        sa.Column("deployment_id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("seconds", sa.Float(53), nullable=False),
    )
    op.create_table(
        "kernel_sla_violation",
        sa.Column("sla_id", ID, primary_key=True),
        sa.Column("subject_id", ID, primary_key=True),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("occurred", TIMESTAMP, nullable=False),
        sa.Column("cleared", TIMESTAMP),
    )
    create_index("kernel_uq_webhook__slug", "kernel_webhook (slug)", unique=True, new=True)
    create_index("kernel_uq_sla__deployment_name", "kernel_sla (deployment_id, name)", unique=True, new=True)
    create_index("kernel_ix_sla_violation__sla_open", "kernel_sla_violation (sla_id) WHERE cleared IS NULL", new=True)
