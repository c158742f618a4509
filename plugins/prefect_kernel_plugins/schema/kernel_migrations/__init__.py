"""The `kernel_…` tables and indexes, by alembic, apart from Prefect's chain (version table `kernel_alembic_version`).

To add a revision:

1. `versions/vNNNN_what.py` with `revision = "NNNN"`, `down_revision` = the one before, and `upgrade()`; look at
   `v0001_event_outbox.py`. Names of tables and indexes begin with `kernel_`. Prefect's tables get nothing but indexes,
   by `create_index` below, and no foreign key may point at them: Prefect's own server and its migrations must keep
   working on the database.
2. `KERNEL_HEAD = "NNNN"` in `schema/heads.py`.
3. `python -m conformance.kernel_schema` renders the chain into `schema/kernel_sqlite.sql` and
   `schema/kernel_postgresql.sql`, from which new databases are made without importing alembic.

Migrations are rendered to SQL before they run (alembic's offline mode), because one raw connection serves everything
here: they cannot read the database, and say what depends on its content in SQL.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

ID = sa.CHAR(36).with_variant(postgresql.UUID(), "postgresql")
TIMESTAMP = sa.DateTime().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def now() -> sa.TextClause:
    """The default of a timestamp, in the format in which the dialect's timestamps are kept."""
    if op.get_context().dialect.name == "sqlite":
        return sa.text("(strftime('%Y-%m-%d %H:%M:%f000', 'now'))")
    return sa.text("CURRENT_TIMESTAMP")


def create_index(name: str, on: str, *, unique: bool = False, new: bool = False) -> None:
    """Make an index `ON on`, on PostgreSQL without blocking those who write to the table meanwhile.

    `new`: the revision has just made the table. Then everything is one transaction, of which an interrupted upgrade
    leaves nothing behind; otherwise what comes before is committed, and must not mind to be done again.
    """
    kind = "UNIQUE INDEX" if unique else "INDEX"
    if op.get_context().dialect.name == "sqlite":
        op.execute(f"CREATE {kind} IF NOT EXISTS {name} ON {on}")
        return
    if new:
        op.execute(f"CREATE {kind} {name} ON {on}")
        return
    with op.get_context().autocommit_block():
        # What an interrupted build leaves behind is an invalid index of this name.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"CREATE {kind} CONCURRENTLY {name} ON {on}")
