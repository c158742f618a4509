"""Scheduled runs: what a deployment's active schedules have ahead is inserted, each date once.

A date is told by its idempotency key, which is the reference's, so several servers, of either kind, may schedule at
once. What is inserted is checked in its transaction against the deployment as it is then: a deployment that was changed
or paused in the meantime gets no runs of its past.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from prefect_kernel.ids import uuid7
from prefect_kernel.sql import Statement, Unit, by_dialect, in_list, inserting
from prefect_kernel.sql.types import POSTGRESQL, SQLITE, Timestamp
from prefect_kernel.transition import DETAIL_DEFAULTS

from ..common.fields import run_name
from ..common.policies import policy_to_json
from ..deployments.tables import deployment, deployment_schedule
from ..flow_runs.create import EMPTY_RUN
from ..flow_runs.schemas import FlowRunPolicy
from ..flow_runs.tables import flow_run, flow_run_state
from ..states.stored import details_to_json
from .dates import Unevaluable, dates

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

log = logging.getLogger("prefect_kernel.schedules")

_NOW = sa.bindparam("now", type_=Timestamp())
_POLICY = policy_to_json(FlowRunPolicy())
_MESSAGE = "Flow run scheduled"
_CLASSES = {"interval": "IntervalSchedule", "cron": "CronSchedule", "rrule": "RRuleSchedule"}


class Bounds(NamedTuple):
    """How far ahead runs are wanted: to `end` at most, `min_runs` and until `start + min_time` at least."""

    start: datetime
    end: datetime
    min_time: timedelta
    min_runs: int
    max_runs: int


class Planned(NamedTuple):
    """A schedule as it was read, and the runs that it lacks."""

    schedule_id: str
    seen: tuple[datetime, datetime]
    """When the deployment and the schedule were last changed."""
    rows: list[dict[str, Any]]


def ahead(dialect: str) -> list[sa.ColumnElement[bool]]:
    """The runs that a schedule has ahead; in the words of the index that serves this."""
    schedule_of = "json_extract(flow_run.created_by, '$.id')" if dialect == SQLITE else "(flow_run.created_by ->> 'id')"
    id = deployment_schedule.c.id if dialect == SQLITE else sa.cast(deployment_schedule.c.id, sa.Text())
    return [
        flow_run.c.deployment_id == deployment_schedule.c.deployment_id,
        flow_run.c.state_type == sa.literal_column("'SCHEDULED'"),
        flow_run.c.auto_scheduled == sa.literal_column("1" if dialect == SQLITE else "true"),
        sa.literal_column(schedule_of) == id,
        flow_run.c.next_scheduled_start_time >= _NOW,
    ]


def _scalar(dialect: str, value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return (
        sa.select(value).select_from(flow_run).where(*ahead(dialect)).correlate(deployment_schedule).scalar_subquery()
    )


_FACTS = [
    deployment.c[name]
    for name in (
        "id flow_id version work_queue_name work_queue_id parameters infrastructure_document_id tags labels updated"
    ).split()
]


def _schedules(dialect: str) -> sa.Select[Any]:
    return (
        sa.select(
            *_FACTS,
            *(deployment_schedule.c[name] for name in "id schedule parameters slug updated".split()),
            _scalar(dialect, sa.func.count()),
            _scalar(dialect, sa.func.max(flow_run.c.next_scheduled_start_time)),
        )
        .select_from(deployment.join(deployment_schedule, deployment_schedule.c.deployment_id == deployment.c.id))
        .where(in_list(deployment.c.id, "ids"), deployment_schedule.c.active.is_(sa.true()))
        .order_by(deployment.c.id, deployment_schedule.c.updated.desc(), deployment_schedule.c.id)
    )


ACTIVE = Statement(by_dialect(sqlite=_schedules(SQLITE), postgresql=_schedules(POSTGRESQL)))
"""Active schedules of deployments, with all that their runs inherit, how many they have ahead, and until when."""

_UNCHANGED = Statement(
    sa.select(deployment_schedule.c.id, deployment.c.updated, deployment_schedule.c.updated)
    .select_from(deployment.join(deployment_schedule, deployment_schedule.c.deployment_id == deployment.c.id))
    .where(in_list(deployment_schedule.c.id, "ids"), deployment_schedule.c.active.is_(sa.true()))
    .order_by(deployment_schedule.c.id)
    .with_for_update(read=True)
)

_RUN_COLUMNS = [column.name for column in flow_run.columns]
_RUN_VALUES = {name: sa.bindparam(name, type_=flow_run.c[name].type) for name in _RUN_COLUMNS}
_KEY = ["flow_id", "idempotency_key"]
_INSERT_RUN = Statement(
    inserting(lambda insert: insert(flow_run).values(_RUN_VALUES).on_conflict_do_nothing(index_elements=_KEY))
)
_INSERTED = Statement(sa.select(flow_run.c.id).where(in_list(flow_run.c.id, "ids")))
_STATE_COLUMNS = "id created updated type timestamp name message state_details flow_run_id".split()
_INSERT_STATE = Statement(
    sa.insert(flow_run_state).values(
        {name: sa.bindparam(name, type_=flow_run_state.c[name].type) for name in _STATE_COLUMNS}
    )
)
_SET_STATE = Statement(
    sa.update(flow_run)
    .values(
        state_id=sa.select(flow_run_state.c.id)
        .where(flow_run_state.c.flow_run_id == flow_run.c.id)
        .correlate(flow_run)
        .scalar_subquery()
    )
    .where(in_list(flow_run.c.id, "ids"))
)

_reported: dict[str, str] = {}
"""Schedules that cannot be evaluated, and why; each is logged once."""


def unevaluable() -> dict[str, str]:
    """The schedules that were found impossible to evaluate, and why."""
    return dict(_reported)


def _report(schedule_id: str, deployment_id: str, error: Unevaluable) -> None:
    if _reported.get(schedule_id) != str(error):
        if len(_reported) > 10_000:
            _reported.clear()
        _reported[schedule_id] = str(error)
        log.error("schedule %s of deployment %s cannot be evaluated: %s", schedule_id, deployment_id, error)


_known: dict[Any, list[datetime]] = {}
"""For rules, where the last search began and what it found: the next one goes on from there."""
_MAX_KNOWN = 4096
_MOMENT = timedelta(microseconds=1)


def _enough(found: list[datetime], bounds: Bounds, enough: datetime) -> bool:
    if not found:
        return False
    return len(found) >= bounds.max_runs or (len(found) >= bounds.min_runs and found[-1] >= enough)


def _wanted(schedule: dict[str, Any], bounds: Bounds) -> list[datetime]:
    found: list[datetime] = []
    enough = bounds.start + bounds.min_time
    if bounds.max_runs < 1:
        # The reference asks after the first date whether there are enough.
        bounds = bounds._replace(max_runs=1)
    start, key = bounds.start, (schedule.get("rrule"), schedule.get("timezone"))
    known = _known.get(key, ()) if key[0] is not None else ()
    before: Iterable[datetime] = ()
    if known and known[0] <= start <= known[-1]:
        before = [date for date in known[1:] if start <= date <= bounds.end]
        start = known[-1] + _MOMENT
    for date in chain(before, dates(schedule, bounds.max_runs, start, bounds.end)):
        found.append(date)
        if _enough(found, bounds, enough):
            break
    if key[0] is not None and found and found == sorted(found):
        if len(_known) >= _MAX_KNOWN:
            _known.pop(next(iter(_known)))
        _known[key] = [bounds.start, *found]
    return found


def _missing(wanted: list[datetime], number: int, last: datetime | None) -> list[datetime]:
    """The dates that may lack a run: those after the last one, when there are as many before it as there are runs."""
    if last is None:
        return wanted
    known = sum(1 for date in wanted if date <= last)
    return wanted[known:] if known == number else wanted


def _plan(row: Sequence[Any], bounds: Bounds, auto_scheduled: bool) -> Planned:
    fixed = dict(zip((column.name for column in _FACTS), row, strict=False))
    schedule_id, schedule, parameters, slug, updated, number, last = row[len(_FACTS) :]
    deployment_id = fixed["id"]
    wanted: list[datetime] = []
    try:
        wanted = _missing(_wanted(schedule, bounds), number, last)
    except Unevaluable as error:
        _report(schedule_id, deployment_id, error)
    base = {
        **EMPTY_RUN,
        "flow_id": fixed["flow_id"],
        "deployment_id": deployment_id,
        "deployment_version": fixed["version"],
        "work_queue_name": fixed["work_queue_name"],
        "work_queue_id": fixed["work_queue_id"],
        "parameters": {**fixed["parameters"], **(parameters or {})},
        "infrastructure_document_id": fixed["infrastructure_document_id"],
        "tags": ["auto-scheduled", *fixed["tags"]] if auto_scheduled else fixed["tags"],
        "labels": {
            **(fixed["labels"] or {}),
            "prefect.flow.id": fixed["flow_id"],
            "prefect.deployment.id": deployment_id,
        },
        "auto_scheduled": auto_scheduled,
        "empirical_policy": _POLICY,
        "state_type": "SCHEDULED",
        "state_name": "Scheduled",
        "created_by": {
            "id": schedule_id,
            "type": "SCHEDULE",
            "display_value": slug or next((name for key, name in _CLASSES.items() if key in schedule), None),
        },
    }
    rows = [
        {
            **base,
            "name": run_name(None),
            "idempotency_key": f"scheduled {deployment_id} {schedule_id} {date}",
            "next_scheduled_start_time": date,
            "expected_start_time": date,
        }
        for date in wanted
    ]
    return Planned(schedule_id, (fixed["updated"], updated), rows)


def plan(rows: Iterable[Sequence[Any]], bounds: Bounds, *, auto_scheduled: bool = True) -> list[Planned]:
    """What rows of ACTIVE lack. A schedule that cannot be evaluated has nothing, and is logged once."""
    return [planned for planned in (_plan(row, bounds, auto_scheduled) for row in rows) if planned.rows]


def insert(planned: Sequence[Planned], now: datetime) -> Unit[list[str]]:
    """Insert what is planned, but for schedules that have changed since; the ids of the runs that are new."""
    seen = {row[0]: (row[1], row[2]) for row in (yield _UNCHANGED(ids=[one.schedule_id for one in planned]))}
    runs: list[dict[str, Any]] = []
    for one in planned:
        if seen.get(one.schedule_id) == one.seen:
            runs += ({**row, "id": uuid7(), "created": now, "updated": now} for row in one.rows)
    if not runs:
        return []
    yield _INSERT_RUN.many(runs)
    new = {row[0] for row in (yield _INSERTED(ids=[run["id"] for run in runs]))}
    if not new:
        return []
    states = [
        {
            "id": uuid7(),
            "created": now,
            "updated": now,
            "type": "SCHEDULED",
            "timestamp": now,
            "name": "Scheduled",
            "message": _MESSAGE,
            "state_details": details_to_json({**DETAIL_DEFAULTS, "scheduled_time": run["expected_start_time"]}),
            "flow_run_id": run["id"],
        }
        for run in runs
        if run["id"] in new
    ]
    # A run has one state at a moment, and several at once are each other's only by their run.
    yield _INSERT_STATE.many(states)
    ids = [state["flow_run_id"] for state in states]
    yield _SET_STATE(ids=ids)
    return ids


def bounds_of(
    kernel: Kernel,
    start: datetime | None = None,
    end: datetime | None = None,
    min_time: timedelta | None = None,
    min_runs: int | None = None,
    max_runs: int | None = None,
) -> Bounds:
    """What was asked for; what was not is as the settings of the scheduler have it."""
    settings = kernel.settings.server.services.scheduler
    start = kernel.clock.now() if start is None else start if start.tzinfo else start.replace(tzinfo=UTC)
    return Bounds(
        start,
        start + settings.max_scheduled_time if end is None else end,
        settings.min_scheduled_time if min_time is None else min_time,
        settings.min_runs if min_runs is None else min_runs,
        settings.max_runs if max_runs is None else max_runs,
    )


def schedule_runs(
    kernel: Kernel,
    deployment_ids: Sequence[str],
    start: datetime | None = None,
    end: datetime | None = None,
    min_time: timedelta | None = None,
    min_runs: int | None = None,
    max_runs: int | None = None,
    *,
    auto_scheduled: bool = True,
) -> Unit[list[str]]:
    """Insert the runs that the active schedules of deployments want; the ids of those that are new.

    What is not given is as the settings of the scheduler have it.
    """
    bounds = bounds_of(kernel, start, end, min_time, min_runs, max_runs)
    rows = yield ACTIVE(ids=list(deployment_ids), now=bounds.start)
    planned = plan(rows, bounds, auto_scheduled=auto_scheduled)
    if not planned:
        return []
    return (yield from insert(planned, kernel.clock.now()))


__all__ = ["ACTIVE", "Bounds", "Planned", "ahead", "bounds_of", "insert", "plan", "schedule_runs", "unevaluable"]
