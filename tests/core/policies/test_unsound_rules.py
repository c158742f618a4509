"""What a third party's rule leaves on its move and must not: told at once, whatever the database would make of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from prefect_kernel import FlowRule, Insert, Move, State, hookimpl
from prefect_kernel.testing import KernelUnderTest, MakeKernel

JUNK: Any = object()


def rejected(**fields: Any) -> Callable[[Move], None]:
    """Reject into a state of which something is wrong."""

    def act(move: Move) -> None:
        move.reject(State("FAILED", **{"timestamp": move.now, **fields}), "no")

    return act


def column(name: str, value: Any) -> Callable[[Move], None]:
    """Put something into a column of the run."""
    return lambda move: move.run.__setitem__(name, value)


def set_to(name: str, value: Any) -> Callable[[Move], None]:
    """Put something in the place of what a move has."""
    return lambda move: setattr(move, name, value)


def emitted(**fields: Any) -> Callable[[Move], None]:
    """Emit an event of which something is wrong."""
    return lambda move: move.emit({"event": "acme.seen", **fields})


def interrupts(move: Move) -> None:
    """Raise what no handler of errors catches, and would end the thread that it is raised in."""
    raise KeyboardInterrupt


UNSOUND: dict[str, tuple[Callable[[Move], None], str]] = {
    "naive": (rejected(timestamp=datetime(2020, 1, 1)), "whose timestamp is"),  # noqa: DTZ001
    "no time": (rejected(timestamp=None), "whose timestamp is None"),
    "no id": (rejected(id="seven"), "whose id is 'seven'"),
    "data": (rejected(data=JUNK), "whose data is"),
    "name": (rejected(name="a\0b"), "whose name is"),
    "message": (rejected(message="\ud800"), "whose message is"),
    "scheduled": (rejected(details={"scheduled_time": "soon"}), "'soon' as its detail scheduled_time"),
    "detail": (rejected(details={"cache_key": 7}), "7 as its detail cache_key"),
    "initial": (lambda move: move.reject(move.initial, "no"), "it left the state that the run is in"),
    "another's": (lambda move: rejected(id=move.run["name"])(move), "a write declared by acme.Unsound"),
    "nan": (lambda move: move.wait(float("nan"), None), "not for a number of seconds"),
    "back": (lambda move: move.wait(-1, None), "not for a number of seconds"),
    "mixed": (lambda move: setattr(move, "status", "WAIT"), "with details of another one"),
    "reason": (lambda move: move.abort("\ud800"), "a reason that is not text"),
    "dropped": (set_to("proposed", None), "it took the proposed state away"),
    "context": (set_to("context", None), "it left None as the context"),
    "undeclared": (set_to("writes", []), ""),
    "column": (column("tags", JUNK), "it left a run whose tags is"),
    "count": (column("run_count", "two"), "it left a run whose run_count is 'two'"),
    "times": (column("start_time", "now"), "it left a run whose start_time is 'now'"),
    "flow": (column("flow_id", str(uuid4())), "a write declared by acme.Unsound"),
    "event id": (emitted(id="seven"), "whose id, time or `follows` is none"),
    "payload": (emitted(payload={"a": JUNK}), "whose payload is no JSON"),
    "resource": (emitted(resource={"name": "x"}), "named by `prefect.resource.id`"),
    "no name": (lambda move: move.emit({"id": str(uuid4())}), "which is no event"),
    "interrupt": (interrupts, "KeyboardInterrupt"),
}
ALLOWED = {"undeclared"}
"""Nothing was declared before, so nothing is lost."""


def given(**hooks: Any) -> Any:
    """A plugin whose rule has these hooks, for starts of runs."""
    rule = type("Given", (FlowRule,), {"name": "acme.Given", "to_states": {"RUNNING"}, **hooks})

    class Acme:
        __name__ = "acme"

        @hookimpl
        def kernel_policy_edits(self, settings: Any) -> Any:
            return [Insert(rule, "core-flow", after="WaitForScheduledTime")]

    return Acme()


def plugin(way: str) -> Any:
    """A plugin whose rule does what the first tag of a run says."""

    def act(move: Move) -> None:
        UNSOUND[move.run["tags"][0]][0](move)

    async def act_async(self: FlowRule, move: Move) -> None:
        act(move)

    hook = act_async if way == "async" else lambda _, move: act(move)
    return given(name="acme.Unsound", before=hook, inline=way == "inline")


def attempt_all(kernel: KernelUnderTest) -> None:
    """Have the rule do everything, and look at what became of the runs."""
    other = kernel.flow_run(state={"type": "PENDING"})
    for what, (_, said) in UNSOUND.items():
        run = kernel.flow_run(state={"type": "PENDING"}, tags=[what], name=other["state"]["id"])
        verdict = kernel.propose(run, "Running")
        if what in ALLOWED:
            assert verdict.status == "ACCEPT", what
            continue
        assert verdict.status == "ABORT", what
        assert "acme.Unsound (plugin acme)" in str(verdict.reason), what
        assert said in str(verdict.reason), what
        after = kernel.client.get(f"/flow_runs/{run['id']}").json()
        assert (after["state_id"], after["tags"], after["run_count"]) == (run["state_id"], [what], 0), what


@pytest.mark.parametrize("way", ["plain", "async", "inline"])
def test_the_transition_is_aborted(make_kernel: MakeKernel, way: str) -> None:
    """Nothing unsound is stored, and nobody is told of an error of the server's."""
    attempt_all(make_kernel(plugin(way)))


@pytest.mark.parametrize("way", ["plain", "inline"])
def test_on_postgresql(make_kernel: MakeKernel, postgres_url: str, way: str) -> None:
    """The same on PostgreSQL, which would refuse other things than SQLite does."""
    attempt_all(make_kernel(plugin(way), storage=postgres_url))


def test_what_is_sound(make_kernel: MakeKernel) -> None:
    """States, columns and events as a rule may leave them are taken over."""

    def before(self: FlowRule, move: Move) -> None:
        move.run["tags"] = ["b", "c"]
        move.run["empirical_policy"]["retries"] = 3
        details = {"scheduled_time": datetime(2031, 1, 1, tzinfo=UTC), "acme": [1]}
        move.reject(State("SCHEDULED", name="Held", timestamp=move.now, data={"a": [1]}, details=details), "Held.")

    kernel = make_kernel(given(before=before))
    run = kernel.flow_run(state={"type": "PENDING"}, tags=["a"])
    verdict = kernel.propose(run, "Running")
    assert (verdict.status, verdict.reason) == ("REJECT", "Held.")
    after = kernel.client.get(f"/flow_runs/{run['id']}").json()
    assert (after["state_name"], after["tags"], after["empirical_policy"]["retries"]) == ("Held", ["b", "c"], 3)
    assert after["next_scheduled_start_time"] == "2031-01-01T00:00:00Z"


def test_seconds_are_whole(make_kernel: MakeKernel) -> None:
    """Clients take no fractions of seconds: a wait is as long as was asked for, or a little longer."""
    kernel = make_kernel(given(before=lambda _, move: move.wait(0.5, "A moment.")))
    verdict = kernel.propose(kernel.flow_run(state={"type": "PENDING"}), "Running")
    assert (verdict.status, verdict.details["delay_seconds"]) == ("WAIT", 1)


def test_what_an_event_lacks(make_kernel: MakeKernel) -> None:
    """An event gets an id, the time and the run as its resource, so that the persister does not have to drop it."""
    kernel = make_kernel(given(before=lambda _, move: move.emit({"event": "acme.seen"})))
    run = kernel.flow_run(state={"type": "PENDING"})
    assert kernel.propose(run, "Running").status == "ACCEPT"
    kernel.tick("event-persister")
    wanted = {
        "event": {"name": ["acme.seen"]},
        "occurred": {"since": "2029-12-31T00:00Z", "until": "2030-01-02T00:00Z"},
    }
    found = kernel.client.post("/events/filter", json={"filter": wanted}).json()["events"]
    assert [event["resource"]["prefect.resource.id"] for event in found] == [f"prefect.flow-run.{run['id']}"]


def test_the_current_state_is_a_copy(make_kernel: MakeKernel) -> None:
    """A rule that changes the state which the run is in changes nothing."""

    def before(self: FlowRule, move: Move) -> None:
        assert move.initial is not None
        move.initial.type = "COMPLETED"

    kernel = make_kernel(given(before=before))
    verdict = kernel.propose(kernel.flow_run(state={"type": "PENDING"}), "Running")
    assert verdict.status == "ACCEPT"
    assert kernel.events[-1]["payload"]["initial_state"]["type"] == "PENDING"
