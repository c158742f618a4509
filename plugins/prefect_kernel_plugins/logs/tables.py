"""Table of logs."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import UUID, Timestamp

log = sa.Table(
    "log",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("level", sa.SmallInteger(), nullable=False),
    sa.Column("flow_run_id", UUID()),
    sa.Column("task_run_id", UUID()),
    sa.Column("message", sa.Text(), nullable=False),
    sa.Column("timestamp", Timestamp(), nullable=False),
)
