"""The service that looks whether agreements are kept.

What violates one is written down (`kernel_sla_violation`) with the event that tells it, in one transaction; of several
server processes on PostgreSQL one looks at a time. So each violation is told once, and its end is told once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from prefect_kernel import Service
from prefect_kernel.ids import uuid7
from prefect_kernel.sql import Statement, Unit, by_dialect, point_read
from prefect_kernel.sql.types import SQLITE, UUID, Timestamp, timestamp_to_text
from prefect_kernel.web.reply import dumps

from ..deployments.tables import deployment
from . import INTERVAL, queries
from .queries import as_dict
from .tables import sla, violation

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

BATCH = 500
"""Violations, and ends of them, told in one transaction, per kind of agreement."""

LOOKBACK = timedelta(minutes=10)
"""How long after its start or end a run is still looked at: nobody may have looked in between."""

_ANY = Statement(sa.select(sla.c.id).limit(1))
_AGREED = Statement(
    sa.select(*sla.columns, deployment.c.name, deployment.c.paused)
    .select_from(sla.outerjoin(deployment, deployment.c.id == sla.c.deployment_id))
    .where(sla.c.enabled == sa.true())
)
_GONE = Statement(
    sa.select(sla.c.id)
    .select_from(sla.outerjoin(deployment, deployment.c.id == sla.c.deployment_id))
    .where(deployment.c.id == sa.null())
)
_LOCK = Statement(
    by_dialect(sqlite="SELECT 1", postgresql="SELECT pg_try_advisory_xact_lock(3918427710054213367) AS mine")
)
_WANTED = {
    SQLITE: "SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS deployment_id,"
    " json_extract(value, '$[2]') AS before, json_extract(value, '$[3]') AS since,"
    " json_extract(value, '$[4]') AS seconds FROM json_each(:agreed)",
    "postgresql": "SELECT * FROM unnest(:ids ::uuid[], :deployments ::uuid[], :befores ::timestamptz[],"
    " :sinces ::timestamptz[], :seconds ::float8[]) AS w (id, deployment_id, before, since, seconds)",
}
_SPAN = {
    SQLITE: "(julianday({later}) - julianday({earlier})) * 86400.0",
    "postgresql": "extract(epoch FROM {later} - {earlier})",
}
_ENDED = "('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')"

_VIOLATING = {
    "duration": "r.start_time IS NOT NULL AND ("
    "(r.end_time IS NULL AND r.state_type NOT IN {ended} AND r.start_time < w.before)"
    " OR (r.end_time >= w.since AND {span} > w.seconds))",
    "within": "r.expected_start_time < w.before AND ("
    "(r.start_time IS NULL AND r.state_type IN ('SCHEDULED', 'PENDING'))"
    " OR (r.start_time >= w.since AND {span} > w.seconds))",
}
_SPANS = {"duration": ("r.end_time", "r.start_time"), "within": ("r.start_time", "r.expected_start_time")}


def _violating(kind: str) -> Statement:
    """Runs that violate agreements of a kind and were not told yet: agreement, run, name of the run."""

    def of(dialect: str) -> str:
        later, earlier = _SPANS[kind]
        condition = _VIOLATING[kind].format(span=_SPAN[dialect].format(later=later, earlier=earlier), ended=_ENDED)
        # CROSS JOIN: SQLite keeps the order of what is joined so, and there are few agreements.
        return f"""
            WITH w AS ({_WANTED[dialect]})
            SELECT w.id, r.id, r.name FROM w CROSS JOIN flow_run AS r
             WHERE r.deployment_id = w.deployment_id AND {condition}
               AND NOT EXISTS (SELECT 1 FROM kernel_sla_violation AS v WHERE v.sla_id = w.id AND v.subject_id = r.id)
             LIMIT {BATCH}"""

    return Statement(by_dialect(sqlite=of(SQLITE), postgresql=of("postgresql")))


def _stale() -> Statement:
    """Agreements on how often runs complete, and whether one has completed since it had to."""

    def of(dialect: str) -> str:
        return f"""
            WITH w AS ({_WANTED[dialect]})
            SELECT w.id, EXISTS (SELECT 1 FROM flow_run AS r WHERE r.deployment_id = w.deployment_id
                                    AND r.state_type = 'COMPLETED' AND r.end_time >= w.before)
              FROM w"""

    return Statement(by_dialect(sqlite=of(SQLITE), postgresql=of("postgresql")))


def _over(kind: str) -> Statement:
    """Violations by runs that are over: the run has begun (`within`), has ended, or is gone."""
    ended = f"r.state_type IN {_ENDED}"
    open_ = f"NOT ({ended} OR r.start_time IS NOT NULL)" if kind == "within" else f"NOT ({ended})"
    text = f"""
        SELECT v.sla_id, v.subject_id, v.event_id, (SELECT r.name FROM flow_run AS r WHERE r.id = v.subject_id)
          FROM kernel_sla_violation AS v JOIN kernel_sla AS s ON s.id = v.sla_id
         WHERE v.cleared IS NULL AND s.enabled AND s.kind = '{kind}'
           AND NOT EXISTS (SELECT 1 FROM flow_run AS r WHERE r.id = v.subject_id AND {open_})
         LIMIT {BATCH}"""
    return Statement(by_dialect(sqlite=text, postgresql=text))


_FIND = {kind: _violating(kind) for kind in ("duration", "within")}
_OVER = {kind: _over(kind) for kind in ("duration", "within")}
_STALE = _stale()
_OPEN = Statement(
    sa.select(violation.c.sla_id, violation.c.event_id)
    .join(sla, sla.c.id == violation.c.sla_id)
    .where(sla.c.kind == sa.literal_column("'stale_after'"), violation.c.cleared == sa.null())
)
_PUT = Statement(sa.insert(violation).values({c.name: sa.bindparam(c.name, type_=c.type) for c in violation.columns}))
_WHICH = [
    violation.c.sla_id == sa.bindparam("sla", type_=UUID()),
    violation.c.subject_id == sa.bindparam("subject", type_=UUID()),
]
_CLEAR = Statement(sa.update(violation).values(cleared=sa.bindparam("now", type_=Timestamp())).where(*_WHICH))
_KEEP = Statement(
    sa.update(violation)
    .values(cleared=sa.bindparam("now", type_=Timestamp()), subject_id=violation.c.event_id)
    .where(*_WHICH)
)
"""A silence of a deployment is over; the deployment itself may fall silent again, so that its id must be free."""


@point_read
def any_agreed() -> Unit[bool]:
    """Whether there is an agreement at all."""
    return bool((yield _ANY()))


def look(kernel: Kernel, now: datetime) -> Unit[int]:
    """Tell violations that were not told yet, and ends of those that were; how many. -1: another process looks."""
    rows = yield _LOCK()
    if not rows[0][0]:
        return -1
    gone = [str(cells[0]) for cells in (yield _GONE())]
    if gone:
        yield from queries.delete(gone)
    agreed: dict[str, dict[str, Any]] = {}
    for cells in (yield _AGREED()):
        one = as_dict(cells[:-2]) | {"deployment": cells[-2], "paused": bool(cells[-1])}
        if str(one["id"]) not in gone:
            agreed[str(one["id"])] = one
    told = 0
    for kind, find in _FIND.items():
        of_kind = [one for one in agreed.values() if one["kind"] == kind]
        if of_kind:
            for id, run, name in (yield find.bind(_parameters(kernel.storage.dialect, of_kind, now))):
                yield from _tell(kernel, agreed[str(id)], (str(run), name), now)
                told += 1
        for id, run, event, name in (yield _OVER[kind]()):
            if str(id) in agreed:
                yield _CLEAR(now=now, sla=str(id), subject=str(run))
                yield from kernel.events.put(_event(agreed[str(id)], "cleared", (str(run), name), now, str(event)))
                told += 1
    return told + (yield from _look_at_stale(kernel, agreed, now))


def _look_at_stale(kernel: Kernel, agreed: dict[str, dict[str, Any]], now: datetime) -> Unit[int]:
    of_kind = [one for one in agreed.values() if one["kind"] == "stale_after"]
    if not of_kind:
        return 0
    told = 0
    open_ = {str(id): str(event) for id, event in (yield _OPEN())}
    for cells in (yield _STALE.bind(_parameters(kernel.storage.dialect, of_kind, now))):
        id, completed = str(cells[0]), bool(cells[1])
        one = agreed[id]
        if completed and id in open_:
            yield _KEEP(now=now, sla=id, subject=one["deployment_id"])
            yield from kernel.events.put(_event(one, "cleared", None, now, open_[id]))
            told += 1
        # Nothing is expected before the agreement has been there for that long, nor of a deployment that is paused.
        elif not completed and id not in open_ and not one["paused"] and one["updated"] < _before(one, now):
            yield from _tell(kernel, one, None, now)
            told += 1
    return told


def _before(one: dict[str, Any], now: datetime) -> datetime:
    return now - timedelta(seconds=one["seconds"])


def _parameters(dialect: str, agreed: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    rows = [
        (
            str(one["id"]),
            str(one["deployment_id"]),
            _before(one, now),
            max(one["updated"], now - LOOKBACK),
            one["seconds"],
        )
        for one in agreed
    ]
    if dialect == SQLITE:
        texts = [[id, of, timestamp_to_text(before), timestamp_to_text(since), s] for id, of, before, since, s in rows]
        return {"agreed": dumps(texts).decode()}
    names = ("ids", "deployments", "befores", "sinces", "seconds")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _tell(kernel: Kernel, one: dict[str, Any], run: tuple[str, str | None] | None, now: datetime) -> Unit[None]:
    event = _event(one, "violation", run, now, None)
    subject = one["deployment_id"] if run is None else run[0]
    yield _PUT(sla_id=str(one["id"]), subject_id=str(subject), event_id=event["id"], occurred=now, cleared=None)
    yield from kernel.events.put(event)


def _event(
    one: dict[str, Any], what: str, run: tuple[str, str | None] | None, now: datetime, follows: str | None
) -> dict[str, Any]:
    """`prefect.sla.violation`, or `prefect.sla.cleared`."""
    related = [
        {
            "prefect.resource.id": f"prefect.deployment.{one['deployment_id']}",
            "prefect.resource.role": "deployment",
            "prefect.resource.name": one["deployment"],
        }
    ]
    if run is not None:
        name = {} if run[1] is None else {"prefect.resource.name": run[1]}
        resource = {"prefect.resource.id": f"prefect.flow-run.{run[0]}", "prefect.resource.role": "flow-run"}
        related.append(resource | name)
    return {
        "occurred": now,
        "event": f"prefect.sla.{what}",
        "resource": {
            "prefect.resource.id": f"prefect.sla.{one['id']}",
            "prefect.resource.name": one["name"],
            "prefect.sla.severity": one["severity"],
            "prefect.sla.kind": one["kind"],
        },
        "related": related,
        "payload": {one["kind"]: one["seconds"], "severity": one["severity"]},
        "id": uuid7(),
        "follows": follows,
    }


class Slas(Service):
    """Looks whether agreements are kept; without any it does nothing."""

    name: ClassVar[str] = "slas"
    setting: ClassVar[str] = INTERVAL

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self._forgot: datetime | None = None

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        return bool(settings.plugin[INTERVAL] > 0)

    @classmethod
    def every(cls, settings: Any) -> float:
        return float(settings.plugin[INTERVAL])

    async def tick(self) -> None:
        kernel = self.kernel
        if not await kernel.storage.read(any_agreed):
            return
        told = BATCH
        while told >= BATCH:
            told = await kernel.storage.write(look, kernel, kernel.clock.now())
            if told > 0:
                kernel.events.committed()
        now = kernel.clock.now()
        if self._forgot is None or now - self._forgot >= timedelta(hours=1):
            await kernel.storage.write(queries.forget_old, now - kernel.settings.server.events.retention_period)
            self._forgot = now
