"""The table of freezes, and every statement about it."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.migrations import Migration, MigrationSet
from prefect_kernel.sql import Statement
from prefect_kernel.sql.types import UUID, Timestamp

freeze = sa.Table(
    "acme_freeze_window",
    sa.MetaData(),
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("starts", Timestamp(), nullable=False),
    sa.Column("ends", Timestamp(), nullable=False),
    sa.Column("reason", sa.Text(), nullable=False),
)

_INDEX = "CREATE INDEX ix_acme_freeze_window__ends ON acme_freeze_window (ends)"

MIGRATIONS = MigrationSet(
    "acme_freeze",
    [
        Migration(
            "0001",
            {
                "sqlite": [
                    """
                    CREATE TABLE acme_freeze_window (
                        id CHAR(36) PRIMARY KEY,
                        starts DATETIME NOT NULL,
                        ends DATETIME NOT NULL,
                        reason TEXT NOT NULL
                    )
                    """,
                    _INDEX,
                ],
                "postgresql": [
                    """
                    CREATE TABLE acme_freeze_window (
                        id uuid PRIMARY KEY,
                        starts timestamptz NOT NULL,
                        ends timestamptz NOT NULL,
                        reason text NOT NULL
                    )
                    """,
                    _INDEX,
                ],
            },
        ),
    ],
)

COVERING = Statement(
    sa.select(freeze.c.ends, freeze.c.reason)
    .where(freeze.c.starts <= sa.bindparam("at", type_=Timestamp()))
    .where(freeze.c.ends > sa.bindparam("at", type_=Timestamp()))
    .order_by(freeze.c.ends.desc())
    .limit(1)
)
"""The freeze at a point in time that lasts longest."""

ALL = Statement(sa.select(freeze).order_by(freeze.c.starts, freeze.c.id))
"""Every freeze, the earliest first."""

ADD = Statement(
    sa.insert(freeze).values({column.name: sa.bindparam(column.name, type_=column.type) for column in freeze.c})
)
"""Store a freeze."""

REMOVE = Statement(sa.delete(freeze).where(freeze.c.id == sa.bindparam("id", type_=UUID())))
"""Forget a freeze."""
