"""Concurrency limits of tags: a running task run holds one slot of each limit that its tags name.

There are two kinds. Limits named `tag:…` count slots, and a lease says which run holds them; the older kind keeps a
list of run ids, and counts only for tags without a limit of the newer kind.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import sqlalchemy as sa

from prefect_kernel.ports.leases import Lease
from prefect_kernel.sql import Statement, by_dialect, in_list
from prefect_kernel.sql.types import UUID, Timestamp
from prefect_kernel.transition import ALL_STATES, Move, TaskRule, TaskTransform

from ...concurrency_limits.tables import concurrency_limit
from ...concurrency_limits_v2 import slots
from ...concurrency_limits_v2.tables import concurrency_limit_v2

LEASE_SECONDS = 100 * 365 * 86400.0
"""Task runs do not renew their leases, so these last for ever."""

PREFIX = "tag:"

_KEYS = ["id", "name", "limit", "active", "active_slots", "slot_decay_per_second", "avg_slot_occupancy_seconds"]
_LIMITS = Statement(
    sa.select(*(concurrency_limit_v2.c[key] for key in _KEYS))
    .where(in_list(concurrency_limit_v2.c.name, "names"))
    .order_by(concurrency_limit_v2.c.name)
)
_OLD_LIMITS = Statement(
    sa.select(
        concurrency_limit.c.id,
        concurrency_limit.c.tag,
        concurrency_limit.c.concurrency_limit,
        concurrency_limit.c.active_slots,
    )
    .where(in_list(concurrency_limit.c.tag, "tags"))
    .order_by(concurrency_limit.c.tag)
)


def _change_old(slots_sql: str, *where: Any) -> sa.Update:
    return (
        sa.update(concurrency_limit)
        .values(active_slots=sa.text(slots_sql), updated=sa.bindparam("now", type_=Timestamp()))
        .where(*where)
    )


_ONE = concurrency_limit.c.id == sa.bindparam("limit_id", type_=UUID())
_OF_TAGS = in_list(concurrency_limit.c.tag, "tags")
_HELD_SQLITE = "EXISTS (SELECT 1 FROM json_each(active_slots) WHERE value = :run_id)"
_HELD_POSTGRESQL = "active_slots @> to_jsonb(CAST(:run_id AS text))"

_TAKE_OLD = Statement(
    by_dialect(
        sqlite=_change_old(
            "json_insert(active_slots, '$[#]', :run_id)",
            _ONE,
            sa.text(f"json_array_length(active_slots) < concurrency_limit AND NOT {_HELD_SQLITE}"),
        ),
        postgresql=_change_old(
            "active_slots || to_jsonb(CAST(:run_id AS text))",
            _ONE,
            sa.text(f"jsonb_array_length(active_slots) < concurrency_limit AND NOT {_HELD_POSTGRESQL}"),
        ),
    )
)
_GIVE_BACK_OLD = Statement(
    by_dialect(
        sqlite=_change_old(
            "(SELECT json_group_array(value) FROM json_each(active_slots) WHERE value <> :run_id)",
            _OF_TAGS,
            sa.text(_HELD_SQLITE),
        ),
        postgresql=_change_old("active_slots - CAST(:run_id AS text)", _OF_TAGS, sa.text(_HELD_POSTGRESQL)),
    )
)


def _read_limits(tags: list[str]) -> Generator[Any, Any, list[dict[str, Any]]]:
    rows = yield _LIMITS(names=[PREFIX + tag for tag in tags])
    return [dict(zip(_KEYS, row, strict=True)) for row in rows]


def _tag(limit: dict[str, Any]) -> str:
    return str(limit["name"]).removeprefix(PREFIX)


class SecureTaskConcurrencySlots(TaskRule):
    """A task run starts only with a slot of every limit on its tags; otherwise its client waits and asks again.

    Nothing is taken before the whole transition has been decided, so a run that gets no further leaves no slot taken.
    A limit of 0 aborts, unless one that is looked at later says to wait: the last verdict counts, as in the reference.
    """

    from_states = ALL_STATES
    to_states = frozenset({"RUNNING"})
    __slots__ = ("_lease", "_old")

    def before(self, move: Move) -> Any:
        self._lease: Lease | None = None
        self._old: list[str] = []
        return self._secure(move) if move.run["tags"] else None

    def _secure(self, move: Move) -> Generator[Any, Any, None]:
        tags = move.run["tags"]
        limits = [limit for limit in (yield from _read_limits(tags)) if limit["active"]]
        for limit in limits:
            if limit["limit"] == 0:
                self._deadlock(move, _tag(limit))
        if given := [limit for limit in limits if limit["limit"] > 0]:
            if not (yield from slots.have_room(given, 1, move.now)):
                names = ", ".join(_tag(limit) for limit in given)
                move.wait(self._seconds(move, given), f"Concurrency limit reached for tags: {names}")
                return
            holder = {"type": "task_run", "id": move.run["id"]}
            self._lease = Lease.new([limit["id"] for limit in given], 1, move.now, LEASE_SECONDS, holder)
        known = {_tag(limit) for limit in limits}
        for id, tag, most, active in (yield _OLD_LIMITS(tags=[tag for tag in tags if tag not in known])):
            if most == 0:
                self._deadlock(move, tag)
            elif len(active) >= most:
                wait = int(move.kernel.settings.server.tasks.tag_concurrency_slot_wait_seconds)
                move.wait(wait, f"Concurrency limit for the {tag} tag has been reached")
            elif move.run["id"] not in active:
                self._old.append(id)

    @staticmethod
    def _deadlock(move: Move, tag: str) -> None:
        move.abort(f'The concurrency limit on tag "{tag}" is 0 and will deadlock if the task tries to run again.')

    @staticmethod
    def _seconds(move: Move, limits: list[dict[str, Any]]) -> int:
        """How long to wait: about as long as slots of the fullest limit are held, at random."""
        longest = move.kernel.settings.server.tasks.tag_concurrency_slot_wait_seconds
        fullest = max(limits, key=lambda limit: limit["active_slots"] / limit["limit"])
        return round(slots.clamped_poisson(min(fullest["avg_slot_occupancy_seconds"] or longest, longest)))

    def after(self, move: Move) -> None:
        if self._lease is not None:
            ids = list(self._lease.limit_ids)
            move.write(slots.acquire(move.kernel.settings, ids, 1, move.now), expect=len(ids))
            move.kernel.leases.create(move, self._lease)
        for limit_id in self._old:
            move.write(_TAKE_OLD(limit_id=limit_id, run_id=move.run["id"], now=move.now), expect=1)


class ReleaseTaskConcurrencySlots(TaskTransform):
    """A task run that does not run (any more) holds no slots."""

    def after(self, move: Move) -> Any:
        state = move.validated
        if state is None or state.type in ("RUNNING", "CANCELLING") or not move.run["tags"]:
            return None
        return self._release(move)

    @staticmethod
    def _release(move: Move) -> Generator[Any, Any, None]:
        run_id, tags = move.run["id"], move.run["tags"]
        limits = yield from _read_limits(tags)
        if limits:
            ids = [limit["id"] for limit in limits]
            for lease in (yield from move.kernel.leases.of_holder(run_id, ids, move.now)):
                move.write(slots.release(move.kernel.settings, list(lease.limit_ids), lease.slots, move.now))
                move.kernel.leases.revoke(move, lease.id, lease)
        move.write(_GIVE_BACK_OLD(tags=tags, run_id=run_id, now=move.now))
