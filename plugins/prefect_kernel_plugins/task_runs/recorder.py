"""The task run recorder: task runs as their clients' events tell them.

Normal clients orchestrate tasks themselves and only report. Recording is idempotent (states by their id, which is the
event's), ordered by state timestamp (a late report adds its state but does not take the run back), and part of the
transaction that stores the events.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from prefect_kernel.sql import Statement, Unit, by_dialect, in_list, inserting
from prefect_kernel.transition import DETAIL_DEFAULTS

from ..common.fields import DateTime, KeyValueLabels, Lenient, run_name
from ..common.policies import TaskRunPolicy, policy_to_json
from ..flow_runs.tables import flow_run
from ..states import StateDetails, details_to_json
from ..states.schemas import StateType, details_of
from .schemas import Constant, FlowRunResult, Parameter, TaskRunResult, inputs_to_json
from .tables import task_run, task_run_state

if TYPE_CHECKING:
    from ..events.received import Received

log = logging.getLogger("prefect_kernel.task_runs")


class _ReportedRun(Lenient):
    """Member `task_run` of the payload; only what was sent is written."""

    name: str | None = None
    task_key: str
    dynamic_key: str
    cache_key: str | None = None
    cache_expiration: DateTime | None = None
    task_version: str | None = None
    empirical_policy: TaskRunPolicy = TaskRunPolicy()
    tags: list[str] = []
    labels: KeyValueLabels | None = None
    task_inputs: dict[str, list[TaskRunResult | FlowRunResult | Parameter | Constant]] = {}
    run_count: int = 0
    flow_run_run_count: int = 0
    expected_start_time: DateTime | None = None
    next_scheduled_start_time: DateTime | None = None
    start_time: DateTime | None = None
    end_time: DateTime | None = None
    total_run_time: timedelta = timedelta(0)


class _ReportedState(Lenient):
    """Member `validated_state` of the payload."""

    type: StateType
    name: str | None = None
    message: str | None = None
    data: Any = None
    state_details: StateDetails = StateDetails()


class _Report(Lenient):
    """The payload of a task run event."""

    validated_state: _ReportedState
    task_run: _ReportedRun


_REPORT = TypeAdapter(_Report)
_CANONICAL = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_REPORTED = frozenset(_ReportedRun.model_fields)


class Record:
    """One reported state: the columns of the run that are known, and the row of the state."""

    __slots__ = ("key", "run", "state")

    def __init__(self, event: Received) -> None:
        """Read an event. Raises ValueError (pydantic's ValidationError is one) when it cannot be read."""
        task_run_id = _id_of("prefect.task-run.", event.resource["prefect.resource.id"])
        flow_run_id = None
        for related in event.related:
            if related["prefect.resource.role"] == "flow-run":
                flow_run_id = _id_of("prefect.flow-run.", related["prefect.resource.id"])
                break
        report = _REPORT.validate_python(event.payload)
        state, given = report.validated_state, report.task_run
        details = {**details_of(state.state_details), "task_run_id": task_run_id, "flow_run_id": flow_run_id}
        if state.type.value == "SCHEDULED" and not details.get("scheduled_time"):
            details["scheduled_time"] = event.received
        name = state.name if state.name is not None else state.type.value.title()
        self.state: dict[str, Any] = {
            "id": event.id,
            "type": state.type.value,
            "name": name,
            "timestamp": event.occurred,
            "message": state.message,
            "data": state.data,
            "state_details": details_to_json({**DETAIL_DEFAULTS, **details}),
            "task_run_id": task_run_id,
        }
        self.run: dict[str, Any] = {key: getattr(given, key) for key in given.model_fields_set & _REPORTED}
        if "empirical_policy" in self.run:
            self.run["empirical_policy"] = policy_to_json(given.empirical_policy)
        if self.run.get("task_inputs"):
            self.run["task_inputs"] = inputs_to_json(given.task_inputs)
        if "name" in self.run and not given.name:
            self.run["name"] = run_name(None)
        self.run |= {
            "id": task_run_id,
            "flow_run_id": flow_run_id,
            "state_id": event.id,
            "state_type": state.type.value,
            "state_name": name,
            "state_timestamp": event.occurred,
        }
        self.key = (flow_run_id or "", given.task_key, given.dynamic_key) if flow_run_id else (task_run_id, "", "")


def _id_of(prefix: str, resource_id: str) -> str:
    if not resource_id.startswith(prefix):
        raise ValueError(f"Resource ID {resource_id} does not start with {prefix}")
    id = resource_id[len(prefix) :]
    return id if _CANONICAL.fullmatch(id) else str(UUID(id))


def records(events: Iterable[Received]) -> list[Record]:
    """What a batch of events tells about task runs; what cannot be read is logged and left out."""
    found = []
    for event in events:
        if not event.event.startswith("prefect.task-run") or event.resource.get("prefect.orchestration") != "client":
            continue
        try:
            found.append(Record(event))
        except ValidationError as error:
            log.warning("task run event %s cannot be recorded: %s", event.id, error.errors(include_url=False)[:3])
        except ValueError as error:
            log.warning("task run event %s cannot be recorded: %s", event.id, error)
    return found


# ---------------------------------------------------------------- statements
_KNOWN = Statement(
    by_dialect(
        sqlite="""
        SELECT t.id, t.flow_run_id, t.task_key, t.dynamic_key
          FROM json_each(:keys) AS k
          JOIN task_run AS t ON t.flow_run_id = json_extract(k.value, '$[0]')
           AND t.task_key = json_extract(k.value, '$[1]') AND t.dynamic_key = json_extract(k.value, '$[2]')
        UNION
        SELECT id, flow_run_id, task_key, dynamic_key FROM task_run WHERE id IN (SELECT value FROM json_each(:ids))""",
        postgresql="""
        SELECT t.id, t.flow_run_id, t.task_key, t.dynamic_key
          FROM jsonb_array_elements(:keys ::jsonb) AS k
          JOIN task_run AS t ON t.flow_run_id = (k ->> 0)::uuid AND t.task_key = k ->> 1 AND t.dynamic_key = k ->> 2
        UNION
        SELECT id, flow_run_id, task_key, dynamic_key FROM task_run
         WHERE id IN (SELECT v::uuid FROM jsonb_array_elements_text(:ids ::jsonb) AS v)""",
    )
)
"""Runs that are there already, by id or by (flow run, task key, dynamic key)."""

_FLOW_RUNS = Statement(sa.select(flow_run.c.id).where(in_list(flow_run.c.id, "ids")))

_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(column.name for column in task_run.columns),
    "run_count": 0,
    "flow_run_run_count": 0,
    "total_run_time": timedelta(0),
    "empirical_policy": {},
    "task_inputs": {},
    "tags": [],
}
_VALUES = {name: sa.bindparam(name, type_=task_run.c[name].type) for name in _DEFAULTS}
_NATURAL = ["flow_run_id", "task_key", "dynamic_key"]
_upserts: dict[tuple[bool, frozenset[str]], Statement] = {}


def _upsert(natural: bool, columns: frozenset[str]) -> Statement:
    """Insert a run, or bring it up to date where its stored state is older.

    One statement per set of reported columns; a client always reports the same ones.
    """
    statement = _upserts.get((natural, columns))
    if statement is None:

        def make(insert: Any) -> Any:
            base = insert(task_run).values(_VALUES)
            changes = {name: base.excluded[name] for name in sorted(columns | {"updated"}) if name != "id"}
            return base.on_conflict_do_update(
                index_elements=_NATURAL if natural else ["id"],
                set_=changes,
                where=task_run.c.state_timestamp < base.excluded.state_timestamp,
            )

        statement = Statement(inserting(make))
        if len(_upserts) < 256:  # a client that reports ever new sets of columns must not fill the memory
            _upserts[natural, columns] = statement
    return statement


_STATE_KEYS = "id created updated type timestamp name message state_details data task_run_id".split()
_STATE_VALUES = {name: sa.bindparam(name, type_=task_run_state.c[name].type) for name in _STATE_KEYS}
_INSERT_STATE = Statement(
    inserting(lambda insert: insert(task_run_state).values(_STATE_VALUES).on_conflict_do_nothing())
)


def record(reported: list[Record], now: datetime) -> Unit[None]:
    """Write reported runs and states, except those of flow runs that do not exist (any more)."""
    batch = yield from _in_existing_flow_runs(sorted(reported, key=lambda r: r.state["timestamp"]))
    rows = yield _KNOWN(
        keys=json.dumps([r.key for r in batch if r.run["flow_run_id"]]), ids=json.dumps([r.run["id"] for r in batch])
    )
    by_id = {row[0] for row in rows}
    by_key = {tuple(row[1:]): row[0] for row in rows if row[1] is not None}

    newest: dict[str, Record] = {}
    for one in batch:
        canonical = by_key.get(one.key)
        if canonical is None and one.run["id"] not in by_id and one.run["flow_run_id"]:
            by_key[one.key] = canonical = one.run["id"]  # later reports of this batch belong to the same run
        if canonical is not None and canonical != one.run["id"] and one.run["id"] not in by_id:
            one.run["id"] = one.state["task_run_id"] = canonical
            one.state["state_details"]["task_run_id"] = canonical
        last = newest.get(one.run["id"])
        if last is None or last.state["timestamp"] < one.state["timestamp"]:  # a run has one state at a time
            newest[one.run["id"]] = one

    by_shape: dict[tuple[bool, frozenset[str]], list[dict[str, Any]]] = {}
    for run_id in sorted(newest):  # in one order everywhere, so that two recorders cannot deadlock
        run = newest[run_id].run
        natural = bool(run["flow_run_id"]) and run_id not in by_id
        values = {**_DEFAULTS, "created": now, "updated": now, **run}
        if values["name"] is None:
            values["name"] = run_name(None)  # for a new run only: it is not among the reported columns
        by_shape.setdefault((natural, frozenset(run)), []).append(values)
    for (natural, columns), runs in by_shape.items():
        yield _upsert(natural, columns).many(runs)
    yield _INSERT_STATE.many([{**one.state, "created": now, "updated": now} for one in batch])


def _in_existing_flow_runs(batch: list[Record]) -> Unit[list[Record]]:
    """Reports may come when their flow run has been deleted; without it there can be no task run."""
    wanted = {one.run["flow_run_id"] for one in batch} - {None}
    if not wanted:
        return batch
    rows = yield _FLOW_RUNS(ids=list(wanted))
    missing = wanted - {row[0] for row in rows}
    if not missing:
        return batch
    log.warning("reports on task runs of flow runs that do not exist are left out: %s", ", ".join(sorted(missing)))
    return [one for one in batch if one.run["flow_run_id"] not in missing]
