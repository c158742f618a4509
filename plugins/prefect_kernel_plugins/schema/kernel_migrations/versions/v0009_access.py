"""API keys, users, and who has changed what (see `access` and `audit`)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from prefect_kernel_plugins.schema.kernel_migrations import ID, SEQUENCE, TIMESTAMP, create_index

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "kernel_api_key",
        sa.Column("id", ID, primary_key=True),
        sa.Column("created", TIMESTAMP, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("hint", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("expires", TIMESTAMP),
        sa.Column("created_by", sa.String()),
    )
    op.create_table(
        "kernel_user",
        sa.Column("id", ID, primary_key=True),
        sa.Column("created", TIMESTAMP, nullable=False),
        sa.Column("updated", TIMESTAMP, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "kernel_audit",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("request_id", ID, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("way", sa.String(), nullable=False),
        sa.Column("client", sa.String()),
        sa.Column("permission", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("object", sa.String()),
        sa.Column("status", sa.Integer()),
        sqlite_autoincrement=True,
    )
    create_index("kernel_uq_api_key__name", "kernel_api_key (name)", unique=True, new=True)
    create_index("kernel_uq_api_key__digest", "kernel_api_key (digest)", unique=True, new=True)
    create_index("kernel_uq_user__name", "kernel_user (name)", unique=True, new=True)
    create_index("kernel_ix_audit__at", "kernel_audit (at)", new=True)
    create_index("kernel_ix_audit__actor_seq", "kernel_audit (actor, seq)", new=True)
    create_index("kernel_ix_audit__object_seq", "kernel_audit (object, seq)", new=True)
