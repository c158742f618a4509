"""Schema versions: which one this server needs, and what a database with another one is in need of.

A database carries two of them: Prefect's (`alembic_version`), which Prefect's own server reads too, and the kernel's
(`kernel_alembic_version`) for the `kernel_…` tables, which Prefect's server does not know and leaves alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Final

from prefect_kernel.errors import DatabaseNotReady
from prefect_kernel.sql.types import POSTGRESQL, SQLITE

PREFECT: Final = "3.8.8"
"""The version of Prefect whose schema this is."""

HEAD: Final = {SQLITE: "a3b9c7d2e5f1", POSTGRESQL: "d4a7e1c93f52"}
"""Prefect's head revision, per dialect."""

KERNEL_HEAD: Final = "0014"
"""The newest revision in `kernel_migrations`."""

STEPS: Final = {
    SQLITE: {"f416ea180ae1": ("a3b9c7d2e5f1", "flow_run", "ix_flow_run__state_type_coalesce_start_time")},
    POSTGRESQL: {
        "9e9dadc36797": ("c8d5f2a71b3e", "event_resources", "ix_event_resources__occurred"),
        "c8d5f2a71b3e": ("d4a7e1c93f52", "flow_run", "ix_flow_run__state_type_coalesce_start_time"),
    },
}
"""From the revision of Prefect 3.8.4 to the head: the next revision, and the index on a table that it sees to."""


class State(Enum):
    """What a database is found to be."""

    EMPTY = "has no tables of Prefect"
    READY = "is ready"
    NEEDS_KERNEL = f"has the schema of Prefect {PREFECT} and lacks kernel tables"
    UPGRADABLE = f"has a schema from which it can be upgraded to that of Prefect {PREFECT}"
    OLDER = "has the schema of an older Prefect"
    NEWER_KERNEL = "was used by a newer prefect-kernel"
    UNKNOWN = "has a schema version that is not known"
    UNVERSIONED = "has tables of Prefect but no schema version"


@dataclass(frozen=True)
class Found:
    """A database's state and the revisions it was read from."""

    dialect: str
    state: State
    revision: str | None = None
    kernel_revision: str | None = None

    def __str__(self) -> str:
        at = f" (revision {self.revision})" if self.revision else ""
        return f"The database {self.state.value}{at}."


def judge(dialect: str, revisions: Sequence[str], tables: Collection[str], kernel: Sequence[str] = ()) -> Found:
    """What a database is, by the rows of both version tables and the names of its tables."""
    revision = ", ".join(revisions) or None
    kernel_revision = ", ".join(kernel) or None
    if revision is None:
        state = State.UNVERSIONED if table_names(dialect).intersection(tables) else State.EMPTY
    elif revision in STEPS[dialect]:
        state = State.UPGRADABLE
    elif revision != HEAD[dialect]:
        state = State.OLDER if revision in known_revisions(dialect) else State.UNKNOWN
    elif kernel_revision == KERNEL_HEAD:
        state = State.READY
    else:
        state = State.NEEDS_KERNEL
    usable = state in (State.UPGRADABLE, State.NEEDS_KERNEL)
    if usable and kernel_revision is not None and kernel_revision > KERNEL_HEAD:
        state = State.NEWER_KERNEL
    return Found(dialect, state, revision, kernel_revision)


def refuse(found: Found) -> None:
    """Raise DatabaseNotReady, saying what to run first, unless the database can be brought to the head from here."""
    if found.state in (State.EMPTY, State.READY, State.NEEDS_KERNEL, State.UPGRADABLE):
        return
    head = HEAD[found.dialect]
    if found.state is State.OLDER:
        advice = f"run `prefect server database upgrade` of Prefect {PREFECT} on it first"
    elif found.state is State.NEWER_KERNEL:
        advice = f"use that version: this one knows tables up to {KERNEL_HEAD}, not {found.kernel_revision}"
    elif found.state is State.UNVERSIONED:
        advice = (
            f"run `prefect server database upgrade` of Prefect {PREFECT} on it first, "
            f"or `prefect-kernel database stamp` if its schema is known to be that of Prefect {PREFECT}"
        )
    else:
        advice = (
            f"if a newer Prefect made it, run `prefect server database downgrade -r {head}` of that Prefect first, "
            f"else `prefect server database upgrade` of Prefect {PREFECT}"
        )
    raise DatabaseNotReady(f"{str(found)[:-1]}; {advice} (nothing was changed).")


def require_ready(found: Found, why_not: str = "") -> None:
    """Raise DatabaseNotReady, saying what to run first, unless the database is ready; `why_not` nothing was done."""
    refuse(found)
    if found.state is not State.READY:
        raise DatabaseNotReady(f"{str(found)[:-1]}{why_not}; run `prefect-kernel database upgrade` first.")


MIGRATIONS_OFF: Final = ", and PREFECT_SERVER_DATABASE_MIGRATE_ON_START is off"


# ---------------------------------------------------------------- the packaged files
@cache
def statements(name: str) -> tuple[str, ...]:
    """The statements of a packaged SQL file: a blank line ends each, comments stand alone."""
    blocks = (Path(__file__).parent / f"{name}.sql").read_text().split("\n\n")
    return tuple(block for block in blocks if block.strip() and not block.startswith("--"))


def index_statement(dialect: str, index: str) -> str:
    """The statement of the packaged DDL that makes an index."""
    found = [s for s in statements(dialect) if s.split(None, 3)[:3] == ["CREATE", "INDEX", index]]
    if len(found) != 1:
        raise LookupError(f"{dialect}.sql makes {index} {len(found)} times")
    return found[0]


PLUGIN_MIGRATIONS = "kernel_migration"
"""The table in which it is noted what plugins have made."""


@cache
def table_names(dialect: str) -> frozenset[str]:
    """The names of Prefect's tables, without `alembic_version`."""
    words = (s.split(None, 3) for s in statements(dialect) if s.startswith("CREATE TABLE "))
    return frozenset(w[2].strip('"') for w in words) - {"alembic_version"}


def index_names(dialect: str) -> list[str]:
    """The names of all indexes that the packaged schema makes."""
    words = (s.replace("IF NOT EXISTS ", "", 1).split() for s in statements(dialect) + statements(f"kernel_{dialect}"))
    made: dict[str, None] = {}
    for w in words:
        if "INDEX" not in w[:3]:
            continue
        name = w[w.index("INDEX") + 1].strip('";')
        if w[0] == "CREATE":
            made[name] = None
        elif w[0] == "DROP":
            made.pop("".join(w[w.index("INDEX") + 1 :]).removeprefix("IFEXISTS").strip('";'), None)
    return list(made)


def own_tables(dialect: str) -> frozenset[str]:
    """The names of all tables that are Prefect's or the kernel's."""
    words = (s.split(None, 3) for s in statements(f"kernel_{dialect}") if s.startswith("CREATE TABLE "))
    kernel = frozenset(w[2].strip('"') for w in words)
    return table_names(dialect) | kernel | {"alembic_version"}


def known_revisions(dialect: str) -> frozenset[str]:
    """Every revision that Prefect's migrations went through, up to the head."""
    lines = (Path(__file__).parent / "revisions.txt").read_text().splitlines()
    return frozenset(revision for name, revision in (line.split() for line in lines) if name == dialect)
