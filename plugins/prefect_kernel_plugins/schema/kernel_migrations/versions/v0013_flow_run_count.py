"""How many flow runs there are, on PostgreSQL, which would have to read an index of all of them to know.

Each backend counts for itself what it adds and takes away, in the same transaction, so that no transaction waits for
another's count; the sum is exact in every snapshot, whoever writes. When a backend makes its row and there are many,
those of backends that have ended are added to row 0, unless another transaction is at it. SQLite counts fast enough.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

MANY = 64
"""Rows from which on those of ended backends are put together: the backends of one or two servers, and some."""


def upgrade() -> None:
    """Make the table and its triggers, and count what is there."""
    if op.get_context().dialect.name == "sqlite":
        return
    op.create_table(
        "kernel_flow_run_count",
        sa.Column("backend", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("backend", name="pk_kernel_flow_run_count"),
    )
    op.execute(
        "CREATE OR REPLACE FUNCTION kernel_flow_run_count() RETURNS trigger"
        " LANGUAGE plpgsql SET search_path FROM CURRENT"
        " AS $$ DECLARE number BIGINT; made BOOLEAN; BEGIN"
        " IF TG_OP = 'TRUNCATE' THEN DELETE FROM kernel_flow_run_count WHERE backend <> 0;"
        " UPDATE kernel_flow_run_count SET runs = 0; RETURN NULL; END IF;"
        " SELECT count(*) INTO number FROM changed;"
        " IF number = 0 THEN RETURN NULL; END IF;"
        " IF TG_OP = 'DELETE' THEN number := -number; END IF;"
        " INSERT INTO kernel_flow_run_count AS c (backend, runs) VALUES (pg_backend_pid(), number)"
        " ON CONFLICT (backend) DO UPDATE SET runs = c.runs + excluded.runs RETURNING xmax = 0 INTO made;"
        f" IF made AND (SELECT count(*) FROM kernel_flow_run_count) > {MANY} THEN"
        " PERFORM FROM kernel_flow_run_count WHERE backend = 0 FOR UPDATE SKIP LOCKED;"
        " IF FOUND THEN"
        " WITH ended AS (DELETE FROM kernel_flow_run_count WHERE backend IN (SELECT backend FROM kernel_flow_run_count"
        " WHERE backend <> 0 AND backend NOT IN (SELECT pid FROM pg_stat_activity WHERE pid IS NOT NULL)"
        " FOR UPDATE SKIP LOCKED) RETURNING runs)"
        " UPDATE kernel_flow_run_count SET runs = runs + (SELECT coalesce(sum(runs), 0) FROM ended) WHERE backend = 0;"
        " END IF; END IF; RETURN NULL; END $$"
    )
    # Making a trigger keeps writers out until the end of this transaction, so nothing comes between it and the count.
    for name, event, changed in (
        ("insert", "INSERT", " REFERENCING NEW TABLE AS changed"),
        ("delete", "DELETE", " REFERENCING OLD TABLE AS changed"),
        ("truncate", "TRUNCATE", ""),
    ):
        op.execute(f"DROP TRIGGER IF EXISTS kernel_flow_run_count_{name} ON flow_run")
        op.execute(
            f"CREATE TRIGGER kernel_flow_run_count_{name} AFTER {event} ON flow_run{changed}"
            " FOR EACH STATEMENT EXECUTE FUNCTION kernel_flow_run_count()"
        )
    op.execute("INSERT INTO kernel_flow_run_count (backend, runs) SELECT 0, count(*) FROM flow_run")
