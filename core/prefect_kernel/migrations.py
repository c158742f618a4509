"""Migrations of plugins' own tables: an ordered list per plugin, applied once, written down in `kernel_migration`.

A plugin returns its `MigrationSet` from the hook `kernel_migrations`:

    MigrationSet("audit", [
        Migration("0001", {
            "sqlite": ["CREATE TABLE audit_entry (id CHAR(36) PRIMARY KEY, note TEXT NOT NULL)"],
            "postgresql": ["CREATE TABLE audit_entry (id uuid PRIMARY KEY, note text NOT NULL)"],
        }),
    ])

Each migration is one transaction, its entry in the ledger included; so what a transaction cannot hold (PostgreSQL's
CONCURRENTLY) is not for here. Revisions that were applied are never changed, removed or reordered: new ones go last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from .errors import DatabaseNotReady, PluginError
from .ports.storage import Storage
from .sql import Statement, Unit, by_dialect, metadata, point_read
from .sql.types import POSTGRESQL, SQLITE, Timestamp

ledger = sa.Table(
    "kernel_migration",
    metadata,
    sa.Column("plugin", sa.String(), primary_key=True),
    sa.Column("revision", sa.String(), primary_key=True),
    sa.Column("applied", Timestamp(), nullable=False),
)


@dataclass(frozen=True)
class Migration:
    """One step: a revision, unique within its plugin, and its statements per dialect."""

    revision: str
    statements: Mapping[str, Sequence[str]]

    def __post_init__(self) -> None:
        if missing := {SQLITE, POSTGRESQL} - set(self.statements):
            raise PluginError(f"migration {self.revision!r} has no statements for {', '.join(sorted(missing))}")
        if any(isinstance(statements, str) for statements in self.statements.values()):
            raise PluginError(f"migration {self.revision!r}: its statements are one string, and must be a list of them")


@dataclass(frozen=True)
class MigrationSet:
    """All migrations of a plugin, oldest first."""

    plugin: str
    migrations: Sequence[Migration] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        revisions = [migration.revision for migration in self.migrations]
        if len(set(revisions)) != len(revisions):
            raise PluginError("two migrations have the same revision")

    def pending(self, applied: Iterable[str]) -> Sequence[Migration]:
        """What remains to be done; DatabaseNotReady when what was done is not how this list begins."""
        done = set(applied)
        pending = list(self.migrations[len(done) :])
        if done != {migration.revision for migration in self.migrations[: len(done)]}:
            raise DatabaseNotReady(
                f"The database has migrations {', '.join(sorted(done))} of plugin {self.plugin}, which has "
                f"{', '.join(m.revision for m in self.migrations) or 'none'}; install the version that made them."
            )
        return pending


_APPLIED = Statement(sa.select(ledger.c.plugin, ledger.c.revision))
_RECORD = Statement(
    by_dialect(
        sqlite="INSERT INTO kernel_migration (plugin, revision) VALUES (:plugin, :revision)",
        postgresql="INSERT INTO kernel_migration (plugin, revision) VALUES (:plugin, :revision)",
    )
)
# SQLite's writers are one after the other anyway.
_LOCK = Statement(
    by_dialect(
        sqlite="SELECT 1",
        postgresql="LOCK TABLE kernel_migration IN SHARE ROW EXCLUSIVE MODE",
    )
)


@point_read
def _applied() -> Unit[dict[str, list[str]]]:
    applied: dict[str, list[str]] = {}
    for plugin, revision in (yield _APPLIED()):
        applied.setdefault(plugin, []).append(revision)
    return applied


def _apply(declared: MigrationSet, dialect: str) -> Unit[bool]:
    """Apply the next migration of a plugin; False when there is none."""
    yield _LOCK()
    applied = yield from _applied()
    pending = declared.pending(applied.get(declared.plugin, ()))
    if not pending:
        return False
    for statement in pending[0].statements[dialect]:
        yield Statement(sa.text(statement.replace(":", "\\:")))()
    yield _RECORD(plugin=declared.plugin, revision=pending[0].revision)
    return True


async def migrate(storage: Storage, sets: Iterable[MigrationSet], *, allowed: bool = True) -> list[str]:
    """Apply what is pending of each plugin, in the order given, and name the plugins that had something.

    Safe to be called by several processes at once. Raises PluginError when two sets are of the same plugin, and
    DatabaseNotReady when the database has been migrated by another version of a plugin, or when something is pending
    that is not `allowed` to be applied.
    """
    declared = list(sets)
    if not declared:
        return []
    names = [one.plugin for one in declared]
    if len(set(names)) != len(names):
        raise PluginError(f"two plugins declare migrations by the same name: {', '.join(sorted(names))}")
    applied = await storage.read(_applied)
    changed = []
    for one in declared:
        if one.pending(applied.get(one.plugin, ())):
            if not allowed:
                raise DatabaseNotReady(
                    f"The database lacks migrations of plugin {one.plugin}, and "
                    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START is off; run `prefect-kernel database upgrade` first."
                )
            while await storage.write(_apply, one, storage.dialect):
                pass
            changed.append(one.plugin)
    return changed
