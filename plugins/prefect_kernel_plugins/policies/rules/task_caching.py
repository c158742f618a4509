"""Completed states kept by cache key, for later runs to take instead of running."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement
from prefect_kernel.sql.types import Timestamp
from prefect_kernel.transition import ALL_STATES, Move, TaskRule

from ...artifacts.tables import artifact
from ...states import state_from_row
from ...task_runs.tables import task_run_state, task_run_state_cache

_CACHED = Statement(
    sa.select(
        *(task_run_state.c[name] for name in ["id", "type", "name", "timestamp", "message", "state_details"]),
        artifact.c.data,
    )
    .select_from(task_run_state.outerjoin(artifact, artifact.c.id == task_run_state.c.result_artifact_id))
    .where(
        task_run_state.c.id
        == sa.select(task_run_state_cache.c.task_run_state_id)
        .where(
            task_run_state_cache.c.cache_key == sa.bindparam("key"),
            sa.or_(
                task_run_state_cache.c.cache_expiration.is_(None),
                task_run_state_cache.c.cache_expiration > sa.bindparam("now", type_=Timestamp()),
            ),
        )
        .order_by(task_run_state_cache.c.created.desc())
        .limit(1)
        .scalar_subquery()
    )
)
"""The newest state under a key that has not expired."""

_COLUMNS = ["id", "created", "updated", "cache_key", "cache_expiration", "task_run_state_id"]
_INSERT = Statement(
    sa.insert(task_run_state_cache).values(
        {name: sa.bindparam(name, type_=task_run_state_cache.c[name].type) for name in _COLUMNS}
    )
)


class CacheRetrieval(TaskRule):
    """A task run whose cache key is known takes the cached state instead of running."""

    from_states = ALL_STATES
    to_states = frozenset({"RUNNING"})

    def before(self, move: Move) -> Any:
        if move.proposed is None:
            return None
        details = move.proposed.details
        if not details["cache_key"] or details["refresh_cache"]:
            return None
        return self._look_up(move, details["cache_key"])

    @staticmethod
    def _look_up(move: Move, key: str) -> Generator[Any, Any, None]:
        rows = yield _CACHED(key=key, now=move.now)
        cached = state_from_row(*rows[0]) if rows else None
        if cached is not None:
            move.reject(cached.fresh_copy(move.now, name="Cached"), "Retrieved state from cache")


class CacheInsertion(TaskRule):
    """A completed state with a cache key is kept under it."""

    from_states = ALL_STATES
    to_states = frozenset({"COMPLETED"})

    def before(self, move: Move) -> None:
        if move.proposed is None:
            return
        key, most = move.proposed.details["cache_key"], move.kernel.settings.server.tasks.max_cache_key_length
        if key and len(key) > most:
            move.reject(move.proposed, f"Cache key exceeded maximum allowed length of {most} characters.")

    def after(self, move: Move) -> None:
        state = move.validated
        if state is not None and state.details["cache_key"]:
            row = {
                "id": uuid4(),
                "created": move.now,
                "updated": move.now,
                "cache_key": state.details["cache_key"],
                "cache_expiration": state.details["cache_expiration"],
                "task_run_state_id": state.id,
            }
            move.write(_INSERT.bind(row))
