"""Transforms: the columns of a run follow its states."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel.transition import STATE_TYPES, TERMINAL_STATES, FlowRule, Move, State, TaskRule

from .support import FLOW, NOW, RUN, flow_run, judged, move, state, task_run

EARLIER = NOW - timedelta(minutes=5)
KINDS = pytest.mark.parametrize("kind", ["flow_run", "task_run"])


def passed(made: Move, answers: Any = None) -> dict[str, Any]:
    """The run after the global policy alone."""
    name = "global-flow" if made.kind == "flow_run" else "global-task"
    return judged(made, name, **({} if answers is None else {"answers": answers})).run


@KINDS
def test_a_run_copies_its_state(kind: str) -> None:
    """Type, name and timestamp."""
    run = passed(move(state("PENDING"), state("RUNNING", "Retrying"), kind=kind))
    assert (run["state_type"], run["state_name"], run["state_timestamp"]) == ("RUNNING", "Retrying", NOW)


@KINDS
def test_start_and_end(kind: str) -> None:
    """The start is the first RUNNING; the end is entering a terminal state, and is gone once the run leaves it."""
    make = flow_run if kind == "flow_run" else task_run
    begun = passed(move(state("PENDING"), state("RUNNING"), kind=kind))
    assert (begun["start_time"], begun["end_time"]) == (NOW, None)
    again = passed(move(state("PENDING"), state("RUNNING"), kind=kind, run=make(start_time=EARLIER)))
    assert again["start_time"] == EARLIER
    for final in TERMINAL_STATES:
        ended = passed(move(state("RUNNING"), state(final), kind=kind, run=make(start_time=EARLIER)))
        assert (ended["start_time"], ended["end_time"]) == (EARLIER, NOW)
        never = passed(move(state("PENDING"), state(final), kind=kind))
        assert (never["start_time"], never["end_time"]) == (NOW, NOW)
        left = passed(move(state(final), state("RUNNING"), kind=kind, run=make(start_time=EARLIER, end_time=EARLIER)))
        assert left["end_time"] is None
        stays = passed(move(state(final), state("FAILED"), kind=kind, run=make(start_time=EARLIER, end_time=EARLIER)))
        assert stays["end_time"] == EARLIER


@KINDS
def test_run_time_adds_up(kind: str) -> None:
    """Only time in RUNNING counts."""
    make = flow_run if kind == "flow_run" else task_run
    run = make(total_run_time=timedelta(seconds=100))
    assert passed(move(state("RUNNING", ago=7), state("FAILED"), kind=kind, run=run))["total_run_time"] == timedelta(
        seconds=107
    )
    run = make(total_run_time=timedelta(seconds=100))
    assert passed(move(state("PAUSED", ago=7), state("RUNNING"), kind=kind, run=run))["total_run_time"] == timedelta(
        seconds=100
    )


@KINDS
def test_expected_and_next_start(kind: str) -> None:
    """The first state says when the run is expected; only a scheduled run is due at some time."""
    make = flow_run if kind == "flow_run" else task_run
    due = NOW + timedelta(hours=1)
    first = passed(move(None, state("SCHEDULED", scheduled_time=due), kind=kind))
    assert (first["expected_start_time"], first["next_scheduled_start_time"]) == (due, due)
    assert passed(move(None, state("PENDING"), kind=kind))["expected_start_time"] == NOW
    left = passed(
        move(
            state("SCHEDULED", scheduled_time=due),
            state("PENDING"),
            kind=kind,
            run=make(expected_start_time=EARLIER, next_scheduled_start_time=due),
        )
    )
    assert (left["expected_start_time"], left["next_scheduled_start_time"]) == (EARLIER, None)
    other = passed(move(state("RUNNING"), state("FAILED"), kind=kind, run=make(next_scheduled_start_time=due)))
    assert other["next_scheduled_start_time"] == due


def test_states_name_their_runs() -> None:
    """A flow run's state its flow run; a task run's both; a subflow's also the task run that stands for it."""
    made = move(state("PENDING"), state("RUNNING"))
    passed(made)
    assert made.validated is not None
    assert (made.validated.details["flow_run_id"], made.validated.details["task_run_id"]) == (RUN, None)
    made = move(state("PENDING"), state("RUNNING"), kind="task_run", run=task_run(flow_run_id=FLOW))
    passed(made)
    assert made.validated is not None
    assert (made.validated.details["flow_run_id"], made.validated.details["task_run_id"]) == (FLOW, RUN)


@pytest.mark.parametrize(
    ("resuming", "api_version", "count", "still_resuming"),
    [
        (False, None, 1, False),
        (True, None, 0, False),
        (True, (0, 8, 4), 0, False),
        (True, (0, 8, 3), 1, True),
    ],
)
def test_attempts_of_a_flow_run(resuming: bool, api_version: Any, count: int, still_resuming: bool) -> None:
    """Entering RUNNING counts, unless the run resumes; then the mark is taken off instead."""
    run = flow_run()
    run["empirical_policy"] |= {"resuming": resuming}
    passed(move(state("PAUSED"), state("RUNNING"), run=run, api_version=api_version))
    assert (run["run_count"], run["empirical_policy"]["resuming"]) == (count, still_resuming)


def test_the_resuming_mark_stays_until_the_run_runs_or_ends() -> None:
    """On the way there, in SCHEDULED or PENDING, it is kept."""
    for type in STATE_TYPES:
        run = flow_run()
        run["empirical_policy"] |= {"resuming": True}
        passed(move(state("PAUSED"), state(type), run=run))
        assert run["empirical_policy"]["resuming"] is (type != "RUNNING" and type not in TERMINAL_STATES)


def test_attempts_of_a_task_run() -> None:
    """Every RUNNING counts."""
    run = task_run(run_count=2)
    passed(move(state("SCHEDULED"), state("RUNNING"), kind="task_run", run=run))
    passed(move(state("RUNNING"), state("FAILED"), kind="task_run", run=run))
    assert run["run_count"] == 3


@KINDS
def test_nothing_changes_when_nothing_is_committed(kind: str) -> None:
    """After an abort, transforms leave the run alone."""

    class Abort(FlowRule if kind == "flow_run" else TaskRule):  # type: ignore[misc]
        def before(self, move: Move) -> None:
            move.abort("no")

    make = flow_run if kind == "flow_run" else task_run
    run, untouched = make(), make()
    judged(move(state("RUNNING"), state("COMPLETED"), kind=kind, run=run), [Abort], with_global=True)
    assert run == untouched


def test_timestamps_of_a_run_are_unique() -> None:
    """A state that would share its time with an earlier one is moved to the first free microsecond."""
    step = timedelta(microseconds=1)
    taken = [NOW, NOW + step, NOW + 3 * step]
    initial = State("PENDING", timestamp=NOW)
    made = move(initial, state("RUNNING"))
    run = passed(made, answers=lambda call: [(at,) for at in taken if at >= call.params["since"]])
    assert made.validated is not None
    assert made.validated.timestamp == NOW + 2 * step
    assert run["state_timestamp"] == run["start_time"] == NOW + 2 * step


def test_a_later_time_is_not_looked_up() -> None:
    """A state that is newer than the current one costs no query."""
    passed(move(state("PENDING", ago=0.001), state("RUNNING")))
