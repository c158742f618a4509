"""Tallies of flow runs for POST /flow_runs/history (see `flow_runs/tallies.py`), in place of the index of 0003.

The triggers note the minute of every run that comes, goes, or changes what is counted, whoever writes it; the tallies
of such minutes are made anew when a history is asked for. On PostgreSQL each backend notes minutes for itself, so that
transactions never wait for one another's notes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

COUNTED = ("expected_start_time", "start_time", "state_type", "state_name", "state_timestamp", "total_run_time")
"""The columns of flow_run from which tallies are made."""


def upgrade() -> None:
    """Make the tables and triggers, and note the minutes of all runs that are there."""
    sqlite = op.get_context().dialect.name == "sqlite"
    number = sa.Integer() if sqlite else sa.Numeric()
    op.create_table(
        "kernel_flow_run_tally",
        sa.Column("span", sa.Integer(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("state_type", sa.String(), nullable=False),
        sa.Column("state_name", sa.String(), nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("run_time", number, nullable=False),
        sa.Column("since", number, nullable=False),
        sa.Column("lateness", number, nullable=False),
        sa.Column("overdue", sa.BigInteger(), nullable=False),
        sa.Column("overdue_since", number, nullable=False),
        sa.PrimaryKeyConstraint("span", "start", "state_type", "state_name", name="pk_kernel_flow_run_tally"),
        sqlite_with_rowid=False,
    )
    if sqlite:
        _sqlite()
    else:
        _postgresql()


def _sqlite() -> None:
    op.execute("DROP INDEX IF EXISTS kernel_ix_flow_run__history")
    op.create_table("kernel_flow_run_stale", sa.Column("minute", sa.Integer(), primary_key=True))

    def note(row: str, where: str = "") -> str:
        minute = f"CAST(strftime('%s', {row}.expected_start_time) AS INTEGER) / 60"
        return (
            f"INSERT INTO kernel_flow_run_stale (minute) SELECT {minute} WHERE {row}.expected_start_time IS NOT NULL"
            f" AND NOT EXISTS (SELECT 1 FROM kernel_flow_run_stale WHERE minute = {minute}){where};"
        )

    moved = " AND NEW.expected_start_time IS NOT OLD.expected_start_time"
    for name, event, notes in (
        ("insert", "INSERT", [note("NEW")]),
        ("update", f"UPDATE OF {', '.join(COUNTED)}", [note("OLD"), note("NEW", moved)]),
        ("delete", "DELETE", [note("OLD")]),
    ):
        trigger = f"kernel_flow_run_stale_{name}"
        op.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        head = f"CREATE TRIGGER {trigger} AFTER {event} ON flow_run BEGIN"
        op.execute("\n    ".join([head, *notes]) + "\nEND")
    op.execute(
        "INSERT INTO kernel_flow_run_stale (minute)"
        " SELECT DISTINCT CAST(strftime('%s', expected_start_time) AS INTEGER) / 60 FROM flow_run"
        " WHERE expected_start_time IS NOT NULL"
    )


def _postgresql() -> None:
    op.create_table(
        "kernel_flow_run_stale",
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("writer", sa.Integer(), nullable=False, server_default=sa.text("pg_backend_pid()")),
        sa.PrimaryKeyConstraint("minute", "writer", name="pk_kernel_flow_run_stale"),
    )

    def note(row: str) -> str:
        return (
            f"IF {row}.expected_start_time IS NOT NULL THEN INSERT INTO kernel_flow_run_stale (minute)"
            f" VALUES (floor(extract(epoch FROM {row}.expected_start_time) / 60)) ON CONFLICT DO NOTHING; END IF;"
        )

    op.execute(
        "CREATE OR REPLACE FUNCTION kernel_flow_run_stale() RETURNS trigger"
        " LANGUAGE plpgsql SET search_path FROM CURRENT"
        f" AS $$ BEGIN IF TG_OP <> 'INSERT' THEN {note('OLD')} END IF; IF TG_OP <> 'DELETE' THEN {note('NEW')} END IF;"
        " RETURN NULL; END $$"
    )
    for name, event in (("change", f"INSERT OR UPDATE OF {', '.join(COUNTED)}"), ("delete", "DELETE")):
        trigger = f"kernel_flow_run_stale_{name}"
        op.execute(f"DROP TRIGGER IF EXISTS {trigger} ON flow_run")
        op.execute(
            f"CREATE TRIGGER {trigger} AFTER {event} ON flow_run FOR EACH ROW EXECUTE FUNCTION kernel_flow_run_stale()"
        )
    op.execute(
        "INSERT INTO kernel_flow_run_stale (minute) SELECT DISTINCT floor(extract(epoch FROM expected_start_time) / 60)"
        " FROM flow_run WHERE expected_start_time IS NOT NULL ON CONFLICT DO NOTHING"
    )
