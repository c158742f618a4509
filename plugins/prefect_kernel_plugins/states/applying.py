"""What a decided transition writes, for flow runs and task runs alike: the result, the state, the run's columns.

Everything is a list of declared writes, so that one transition can carry another one (a subflow's and that of the task
run which stands for it) in the same transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefect_kernel.declare import carry_out
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Call, Statement, Unit, inserting
from prefect_kernel.sql.types import UUID
from prefect_kernel.transition import Move, State

from ..artifacts.collecting import COLLECTED, binds, collect
from ..artifacts.tables import artifact
from .stored import details_to_json, persisted

_LITTLE = timedelta(seconds=10)


def _binds(table: sa.Table, names: list[str]) -> dict[str, Any]:
    return {name: sa.bindparam(name, type_=table.c[name].type) for name in names}


_INSERT_RESULT = Statement(sa.insert(artifact).values(binds(artifact, ["id", "created", "updated", *COLLECTED])))


class _Collect(Call):
    """Stands for the writes that make a result the latest of its key: they depend on what is there before it."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(_INSERT_RESULT, values)


def _store_result(move: Move, state: State, result_id: str, flow_run_id: str | None, task_run_id: str | None) -> None:
    """Declare the rows of a state's data.

    `artifact_key`, `artifact_type` and `artifact_description` among the data are columns of the artifact instead; the
    state shows its data without them.
    """
    described: dict[str, Any] = {"key": None, "type": None, "description": None}
    if isinstance(state.data, dict):
        data = dict(state.data)  # the caller's own object stays whole, for when the unit is run again
        for column in described:
            described[column] = data.pop(f"artifact_{column}", None) or None
        state.data = data
    row = {
        **described,
        "id": result_id,
        "created": move.now,
        "updated": move.now,
        "data": state.data,
        "flow_run_id": flow_run_id,
        "task_run_id": task_run_id,
    }
    if row["key"] is not None:
        move.write(_Collect({name: value for name, value in row.items() if name == "data" or value is not None}))
    move.write(_INSERT_RESULT.bind({**row, "data": (state.data,), "metadata_": (None,)}))


class RunWriter:
    """Writes of one kind of run."""

    def __init__(self, run: sa.Table, state: sa.Table, run_id: str, unique: list[str]) -> None:
        """`run_id` is the column of the state table that refers to the run, `unique` what tells a run made again."""
        self._run, self._run_id = run, run_id
        columns = [
            "id",
            "created",
            "updated",
            "timestamp",
            "type",
            "name",
            "message",
            "state_details",
            "result_artifact_id",
        ]
        binds = _binds(state, [*columns, run_id])
        # A state of the same moment is one that somebody else was faster with: nothing is inserted, which races.
        self._insert_state = Statement(inserting(lambda insert: insert(state).values(binds).on_conflict_do_nothing()))
        values = _binds(run, [column.name for column in run.columns])
        self._insert_run = Statement(
            inserting(lambda insert: insert(run).values(values).on_conflict_do_nothing(index_elements=unique))
        )
        self._set_state_id = Statement(
            sa.update(run)
            .values(state_id=sa.bindparam("new_state_id", type_=UUID()))
            .where(run.c.id == sa.bindparam("run_id", type_=UUID()))
        )
        self._updates: dict[tuple[str, ...], Statement] = {}

    def _update(self, changed: tuple[str, ...]) -> Statement:
        """Change exactly these columns (every index on another column is left alone), if the run is as it was seen."""
        found = self._updates.get(changed)
        if found is None:
            run = self._run
            values = {name: sa.bindparam(name, type_=run.c[name].type) for name in changed}
            found = self._updates[changed] = Statement(
                sa.update(run)
                .values(values)
                .where(
                    run.c.id == sa.bindparam("run_id", type_=UUID()),
                    run.c.state_id.is_not_distinct_from(sa.bindparam("seen_state_id", type_=UUID())),
                )
            )
        return found

    def declare(self, move: Move, seen: dict[str, Any], *, flow_run_id: str | None, task_run_id: str | None) -> None:
        """Put the state and the changed columns before everything that rules have declared.

        `seen` is the run as it was read. Raises the error of a rule that failed: nothing may be written then.
        """
        if move.error is not None:
            raise move.error
        run, state = move.run, move.validated
        declared, move.writes = move.writes, []
        if state is not None:
            result_id = None
            if persisted(state.data):
                result_id = uuid4()
                _store_result(move, state, result_id, flow_run_id, task_run_id)
            move.write(self._insert_state.bind(self._state_row(state, run["id"], result_id)), expect=1)
            run["state_id"] = state.id
        changed = tuple(name for name, value in run.items() if value != seen[name])
        if changed:
            run["updated"] = move.now
            values = {name: run[name] for name in changed}
            values |= {"updated": move.now, "run_id": run["id"], "seen_state_id": seen["state_id"]}
            names = changed if "updated" in changed else (*changed, "updated")
            move.write(self._update(names).bind(values), expect=1)
        move.writes += declared

    def declare_new(self, move: Move, *, flow_run_id: str | None, task_run_id: str | None, at_once: bool) -> None:
        """Put the new run with its first state before everything that rules have declared.

        The write races (and is decided again) when such a run is there already. `at_once`: the run is inserted with
        its state_id, although the state comes after it; else that is set last.
        """
        if move.error is not None:
            raise move.error
        run, state = move.run, move.validated
        declared, move.writes = move.writes, []
        result_id = None
        if state is not None and persisted(state.data):
            result_id = uuid4()
            _store_result(move, state, result_id, flow_run_id, task_run_id)
        results, move.writes = move.writes, []
        if state is not None:
            run["state_id"] = state.id
        move.write(self._insert_run.bind(run if at_once else {**run, "state_id": None}), expect=1)
        move.writes += results
        if state is not None:
            move.write(self._insert_state.bind(self._state_row(state, run["id"], result_id)))
            if not at_once:
                move.write(self._set_state_id.bind({"run_id": run["id"], "new_state_id": state.id}), expect=1)
        move.writes += declared

    def _state_row(self, state: State, run_id: str, result_id: str | None) -> dict[str, Any]:
        return {
            "id": state.id,
            "created": state.timestamp,
            "updated": state.timestamp,
            "timestamp": state.timestamp,
            "type": state.type,
            "name": state.name,
            "message": state.message,
            "state_details": details_to_json(state.details),
            "result_artifact_id": result_id,
            self._run_id: run_id,
        }


def write_declared(move: Move, *, last: bool = True) -> Unit[None]:
    """Carry out the writes of a move and record its events; `last` when they are the only writes of the unit.

    Raises Raced when somebody was faster.
    """
    events = move.kernel.events
    recorded = [(events.call(event), None) for event in move.events] if events.wanted else []
    writes: list[tuple[Call, int | None]] = []
    for call, expect in move.writes:
        if type(call) is _Collect:
            writes += yield from collect(move.kernel, call.params, move.now)
        else:
            writes.append((call, expect))
    yield from carry_out([*writes, *recorded], last=last)


def moment_after(state: State | None, now: datetime) -> datetime:
    """`now`, but later than the current state, where that is a little ahead.

    So it is when two clients race and the later one is judged last, and with clocks that stand still or are corrected.
    A clock that was set back by more is believed.
    """
    if state is not None and timedelta(0) <= state.timestamp - now < _LITTLE:
        return state.timestamp + timedelta(microseconds=1)
    return now
