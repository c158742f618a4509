"""Slot arithmetic: taking and giving back slots of named limits, and how they decay.

A limit with `slot_decay_per_second` gives slots back by itself: what is active now is what was active at the row's
`updated`, less the decay since. Each write stores the decayed numbers and moves `updated`, so the arithmetic starts
anew. The time is always the caller's, never the database's, so that decision and write agree.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefect_kernel.sql import Call, Statement, Unit, by_dialect, in_list
from prefect_kernel.sql.statement import ListType
from prefect_kernel.sql.types import Timestamp

from .tables import concurrency_limit_v2 as t

MINIMUM_OCCUPANCY = 0.1
"""Seconds per slot below which an average never falls: it is divided by."""

OCCUPANCY_SAMPLES = 2
"""The average occupancy runs over this many samples per slot of the limit."""

_SECONDS = {
    "sqlite": "((julianday(:now) - julianday(updated)) * 86400.0)",
    "postgresql": "CAST(extract(epoch from (CAST(:now AS timestamptz) - updated)) AS double precision)",
}
_FORGIVEN = {
    "sqlite": "CAST(max(0, {count} - CAST({rate} * max(0.0, {seconds}) AS INTEGER)) AS INTEGER)",
    "postgresql": "CAST(greatest(0, {count} - floor({rate} * greatest(0.0, {seconds}))) AS integer)",
}
_OCCUPANCY_RATE = (
    "CASE WHEN slot_decay_per_second > 0.0 THEN slot_decay_per_second ELSE 1.0 / {most}(0.1, {least}("
    "CAST(avg_slot_occupancy_seconds AS double precision), CASE WHEN name LIKE 'tag:%'"
    " THEN CAST(:tag_wait AS double precision) ELSE CAST(:wait AS double precision) END)) END"
)


def _decayed(dialect: str, count: str, rate: str) -> str:
    return _FORGIVEN[dialect].format(count=count, rate=rate, seconds=_SECONDS[dialect])


def _active(dialect: str) -> str:
    return _decayed(dialect, "active_slots", "slot_decay_per_second")


def _denied(dialect: str) -> str:
    """Denied slots decay with the limit's rate, or as fast as its slots are passed on (bounded by the longest wait)."""
    most, least = ("max", "min") if dialect == "sqlite" else ("greatest", "least")
    return _decayed(dialect, "denied_slots", f"({_OCCUPANCY_RATE.format(most=most, least=least)})")


def _text(sql: str) -> Any:
    clause = sa.text(sql)
    return clause.bindparams(sa.bindparam("now", type_=Timestamp())) if ":now" in sql else clause


def _update(dialect: str, values: Mapping[str, str], *where: str) -> sa.Update:
    return (
        sa.update(t)
        .where(in_list(t.c.id, "ids"), t.c.active == sa.true(), *(_text(condition) for condition in where))
        .values(
            {name: _text(sql) for name, sql in values.items()} | {"updated": sa.bindparam("now", type_=Timestamp())}
        )
    )


def _statement(build: Any) -> Statement:
    return Statement(by_dialect(sqlite=build("sqlite"), postgresql=build("postgresql")))


def _acquire_in(dialect: str) -> sa.Update:
    taken = f"{_active(dialect)} + :slots"
    return _update(
        dialect, {"active_slots": taken, "denied_slots": _denied(dialect)}, f'{taken} <= concurrency_limit_v2."limit"'
    )


def _release_in(dialect: str) -> sa.Update:
    most = "max" if dialect == "sqlite" else "greatest"
    values = {"active_slots": f"{most}(0, {_active(dialect)} - :slots)", "denied_slots": _denied(dialect)}
    return _update(dialect, values)


def _release_occupied_in(dialect: str) -> sa.Update:
    sample = f'(:per_slot - avg_slot_occupancy_seconds) / ("limit" * {OCCUPANCY_SAMPLES}.0)'
    average = f'avg_slot_occupancy_seconds + CASE WHEN "limit" > 0 THEN {sample} ELSE 0 END'
    most = "max" if dialect == "sqlite" else "greatest"
    values = {
        "active_slots": f"{most}(0, {_active(dialect)} - :slots)",
        "denied_slots": _denied(dialect),
        "avg_slot_occupancy_seconds": average,
    }
    return _update(dialect, values)


def _room_in(dialect: str) -> sa.Select[Any]:
    enough = _text(f'{_active(dialect)} + :slots <= "limit"')
    return sa.select(t.c.id).where(in_list(t.c.id, "ids"), t.c.active == sa.true(), enough)


_ACQUIRE = _statement(_acquire_in)
_RELEASE = _statement(_release_in)
_RELEASE_OCCUPIED = _statement(_release_occupied_in)
_ROOM = _statement(_room_in)


def _waits(settings: Any) -> dict[str, float]:
    return {
        "tag_wait": settings.server.tasks.tag_concurrency_slot_wait_seconds,
        "wait": settings.server.concurrency.maximum_concurrency_slot_wait_seconds,
    }


def acquire(settings: Any, ids: list[str], slots: int, now: datetime) -> Call:
    """Take slots on all of these limits; it succeeded when as many rows were touched as there are ids."""
    return _ACQUIRE(ids=ids, slots=slots, now=now, **_waits(settings))


def release(settings: Any, ids: list[str], slots: int, now: datetime, occupancy_seconds: float | None = None) -> Call:
    """Give slots back on these limits; the time for which they were held goes into the limits' averages."""
    values = {"ids": ids, "slots": slots, "now": now, **_waits(settings)}
    if not occupancy_seconds:
        return _RELEASE.bind(values)
    return _RELEASE_OCCUPIED.bind({**values, "per_slot": max(occupancy_seconds / slots, MINIMUM_OCCUPANCY)})


def active_slots_now(dialect: str) -> Any:
    """The column of active slots that have not decayed by `:now`."""
    return sa.type_coerce(_text(_active(dialect)), sa.Integer).label("active_slots")


_CHANGE = Statement(
    sa.text(
        f"""UPDATE concurrency_limit_v2 SET
        active_slots = greatest(0, {_active("postgresql")} - change.given) + change.taken,
        denied_slots = {_denied("postgresql")},
        avg_slot_occupancy_seconds = avg_slot_occupancy_seconds * change.weight + change.addend,
        updated = CAST(:now AS timestamptz)
        FROM (SELECT given.* FROM unnest(
            CAST(:ids AS uuid[]), CAST(:given AS bigint[]), CAST(:taken AS bigint[]), CAST(:weights AS float8[]),
            CAST(:addends AS float8[])
        ) AS given (limit_id, given, taken, weight, addend)
        JOIN concurrency_limit_v2 AS held ON held.id = given.limit_id ORDER BY held.id FOR NO KEY UPDATE OF held
        ) AS change
        WHERE concurrency_limit_v2.id = change.limit_id AND active AND (change.taken = 0
        OR greatest(0, {_active("postgresql")} - change.given) + change.taken <= "limit")"""
    ).bindparams(
        sa.bindparam("now", type_=Timestamp()),
        *(sa.bindparam(name, type_=ListType()) for name in ("ids", "given", "taken", "weights", "addends")),
    )
)
"""What `Changes` come to, on PostgreSQL. Rows are locked in order of their ids, so that nobody waits in a circle."""


# ---------------------------------------------------------------- on rows that were read
class Changes:
    """What many requests do to limits (rows with their active slots at `now`, which are changed as slots come and go).

    The average over samples s₁ … sₙ is linear in what it was before, so that one statement does them all.
    """

    def __init__(self, limits: list[dict[str, Any]], now: datetime) -> None:
        self._active = {limit["id"]: limit for limit in limits if limit["active"]}
        self._now = now
        self._changes: dict[str, tuple[int, int, float, float]] = {}
        """Slots given back and taken, and what the average is multiplied by, and added to it."""

    def give(self, ids: Iterable[str], slots: int, occupancy_seconds: float | None) -> None:
        """Give slots back on the active ones of these limits. Nothing may have been taken before."""
        for id in ids:
            if (limit := self._active.get(id)) is None:
                continue
            given, taken, weight, addend = self._changes.get(id, (0, 0, 1.0, 0.0))
            if occupancy_seconds and limit["limit"]:
                share = 1 / (limit["limit"] * OCCUPANCY_SAMPLES)
                weight *= 1 - share
                addend += (max(occupancy_seconds / slots, MINIMUM_OCCUPANCY) - addend) * share
            self._changes[id] = given + slots, taken, weight, addend
            limit["active_slots"] = max(0, limit["active_slots"] - slots)

    def take(self, ids: Iterable[str], slots: int) -> bool:
        """Take slots on all active ones of these limits, or, where they have no room, on none."""
        limits = [self._active[id] for id in ids if id in self._active]
        if any(limit["active_slots"] + slots > limit["limit"] for limit in limits):
            return False
        for limit in limits:
            given, taken, weight, addend = self._changes.get(limit["id"], (0, 0, 1.0, 0.0))
            self._changes[limit["id"]] = given, taken + slots, weight, addend
            limit["active_slots"] += slots
        return True

    def call(self, settings: Any) -> tuple[Call, int] | None:
        """The statement on PostgreSQL, and how many rows it touches if all is still as it was read."""
        if not self._changes:
            return None
        ids = sorted(self._changes)
        given, taken, weights, addends = zip(*(self._changes[id] for id in ids), strict=True)
        values = {"ids": ids, "given": given, "taken": taken, "weights": weights, "addends": addends}
        return _CHANGE.bind({**values, "now": self._now, **_waits(settings)}), len(ids)


def have_room(limits: list[dict[str, Any]], slots: int, now: datetime) -> Unit[bool]:
    """Whether `acquire` would succeed on these limits (rows).

    What decays is asked of the database, because `acquire` must come to the same result to the last digit.
    """
    decaying = []
    for limit in limits:
        if limit["slot_decay_per_second"]:
            decaying.append(limit["id"])
        elif not limit["active"] or limit["active_slots"] + slots > limit["limit"]:
            return False
    if decaying:
        rows = yield _ROOM(ids=decaying, slots=slots, now=now)
        return len(rows) == len(decaying)
    return True


def clamped_poisson(average: float, factor: float = 0.3) -> float:
    """A random waiting time around `average` seconds, so that those who wait together do not come back together.

    An exponentially distributed time, kept within `average` times 1 + `factor` and a lower bound that leaves as much
    probability below the median as above it.
    """
    if factor <= 0:
        raise ValueError("`clamping_factor` must be >= 0.")
    if average <= 0:
        return 0.0
    most = 1 + factor
    least = 0.0 if most >= 50 else math.log2(max(2**most / (2**most - 1), 1e-10))
    drawn = random.uniform(1 - math.exp(-max(0.0, least)), 1 - math.exp(-most))
    return -math.log(max(1 - drawn, 1e-10)) * average
