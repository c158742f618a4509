"""Third parties' rules that raise, hang, or leave nonsense: the transition is aborted, and nothing of it remains."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_kernel import FlowRule, Insert, Move, hookimpl
from prefect_kernel.sql import Statement
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel.transition import State

NOWHERE = Statement(sa.text("SELECT missing FROM nowhere"))
WRITE = Statement(sa.text("DELETE FROM kernel_migration"))

released = threading.Event()
"""Set at the end of a test, for threads that hang in it."""


@pytest.fixture(autouse=True)
def _release() -> Iterator[None]:
    released.clear()
    yield
    released.set()


def plugin(hook: str, function: Any, *, policy: str = "core-flow", **attributes: Any) -> Any:
    """A plugin whose only rule has this hook; it stands between two core rules and is for starts of runs."""
    body = {"name": "acme.Rule", "to_states": {"RUNNING"}, hook: function, **attributes}
    rule = type("Rule", (FlowRule,), body)
    anchor = "WaitForScheduledTime" if policy == "core-flow" else "SetStartTime"

    class Acme:
        __name__ = "acme"

        @hookimpl
        def kernel_policy_edits(self, settings: Any) -> Any:
            return [Insert(rule, policy, before=anchor)]

    return Acme()


# ---------------------------------------------------------------- what hooks may do wrong
def raises(self: FlowRule, move: Move) -> None:
    """Fail, after having declared something."""
    move.write(WRITE())
    move.emit({"id": "0", "event": "x", "occurred": move.now})
    move.run["start_time"] = None
    raise ValueError("no good")


def exits(self: FlowRule, move: Move) -> None:
    """End the process."""
    sys.exit(3)


async def exits_async(self: FlowRule, move: Move) -> None:
    """End the process, from the event loop."""
    sys.exit(3)


async def raises_async(self: FlowRule, move: Move) -> None:
    """Fail after a while."""
    await asyncio.sleep(0)
    raise ValueError("no good")


async def cancels(self: FlowRule, move: Move) -> None:
    """Raise what belongs to asyncio."""
    raise asyncio.CancelledError


def stops(self: FlowRule, move: Move) -> None:
    """Raise what belongs to generators."""
    raise StopIteration("no good")


def returns_junk(self: FlowRule, move: Move) -> Any:
    """Return what might be meant as a verdict."""
    return "ABORT"


async def returns_junk_async(self: FlowRule, move: Move) -> Any:
    """Return what might be meant as a verdict."""
    return False


async def yields_async(self: FlowRule, move: Move) -> Any:
    """Be an async generator, which nobody iterates."""
    yield NOWHERE()


def yields_junk(self: FlowRule, move: Move) -> Any:
    """Yield SQL as text."""
    yield "SELECT 1"


def yields_a_write(self: FlowRule, move: Move) -> Any:
    """Write instead of declaring a write."""
    yield WRITE()


def reads_from_nowhere(self: FlowRule, move: Move) -> Any:
    """Ask for a table that is not there."""
    yield NOWHERE()


def hangs(self: FlowRule, move: Move) -> None:
    """Wait in the way that no cancellation reaches."""
    released.wait()
    move.reject(None, "too late")


def hangs_between_reads(self: FlowRule, move: Move) -> Any:
    """Wait after a read."""
    yield Statement(sa.text("SELECT 1"))()
    released.wait()


async def hangs_async(self: FlowRule, move: Move) -> None:
    """Wait for what never comes."""
    await asyncio.Event().wait()


async def will_not_be_cancelled(self: FlowRule, move: Move) -> None:
    """Wait, whatever anybody says."""
    while not released.is_set():
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue


def leaves_a_word_as_state(self: FlowRule, move: Move) -> None:
    """Put something else in the place of a state."""
    move.proposed = "RUNNING"  # type: ignore[assignment]


def leaves_an_unknown_type(self: FlowRule, move: Move) -> None:
    """Propose a state of no known type."""
    move.proposed = State("RUNING", timestamp=move.now)


def rejects_with_a_word(self: FlowRule, move: Move) -> None:
    """Reject with what is no state."""
    move.reject("FAILED", "because")  # type: ignore[arg-type]


def gives_an_odd_reason(self: FlowRule, move: Move) -> None:
    """Give a reason that is not text."""
    move.abort(object())  # type: ignore[arg-type]


def waits_for_a_word(self: FlowRule, move: Move) -> None:
    """Ask to wait for no number of seconds."""
    move.wait("a minute", None)  # type: ignore[arg-type]


def empties_the_run(self: FlowRule, move: Move) -> None:
    """Take the run's columns away."""
    move.run.clear()


def writes_a_word(self: FlowRule, move: Move) -> None:
    """Declare SQL as text."""
    move.write("DELETE FROM flow_run")  # type: ignore[arg-type]


def emits_a_word(self: FlowRule, move: Move) -> None:
    """Emit what is no event."""
    move.emit("started")  # type: ignore[arg-type]


def writes_to_nowhere(self: FlowRule, move: Move) -> None:
    """Declare a write that the database will refuse."""
    move.write(Statement(sa.text("DELETE FROM nowhere"))())


def leaves_a_number_to_do(self: FlowRule, move: Move) -> None:
    """Leave something to do after the commit that cannot be called."""
    move.on_commit.append(7)


def expects_what_never_is(self: FlowRule, move: Move) -> None:
    """Declare a write that never touches as many rows as it says."""
    move.write(WRITE(), expect=17)


MISBEHAVIOUR = [
    (raises, "ValueError"),
    (exits, "SystemExit"),
    (exits_async, "SystemExit"),
    (raises_async, "ValueError"),
    (cancels, "it was cancelled"),
    (stops, "StopIteration"),
    (returns_junk, "it returned 'ABORT'"),
    (returns_junk_async, "it returned False"),
    (yields_async, "it returned <async_generator"),
    (yields_junk, "it yielded 'SELECT 1'"),
    (yields_a_write, "declare writes with `move.write`"),
    (reads_from_nowhere, "nowhere"),
    (hangs, "it did not return within 0.2 seconds"),
    (hangs_between_reads, "it did not return within 0.2 seconds"),
    (hangs_async, "it did not return within 0.2 seconds"),
    (will_not_be_cancelled, "it did not return within 0.2 seconds"),
    (leaves_a_word_as_state, "it left 'RUNNING' as the proposed state"),
    (leaves_an_unknown_type, "it left <.*> as the proposed state"),
    (empties_the_run, "it left another run, or a run with other columns"),
    (writes_a_word, "it declared .* as a write"),
    (emits_a_word, "it emitted 'started', which is no event"),
    (leaves_a_number_to_do, "it left something to do after the commit that cannot be called"),
    (writes_to_nowhere, "a write declared by acme.Rule .*nowhere"),
    (expects_what_never_is, "a write declared by acme.Rule"),
]

VERDICTS = [
    (rejects_with_a_word, "AttributeError"),
    (gives_an_odd_reason, "it gave a reason that is not text"),
    (waits_for_a_word, "not for a number of seconds"),
]
"""What only `before` can do wrong: afterwards the verdict is fixed."""


def attempt(kernel: KernelUnderTest) -> tuple[Any, Any, Any]:
    """Propose a start to a pending run: the verdict, and the run before and after it."""
    run = kernel.flow_run(state={"type": "PENDING"})
    before = kernel.client.get(f"/flow_runs/{run['id']}").json()
    events = len(kernel.events)
    verdict = kernel.propose(run, "Running")
    assert len(kernel.events) == events, "an aborted transition emits nothing"
    return verdict, before, kernel.client.get(f"/flow_runs/{run['id']}").json()


@pytest.mark.parametrize(
    ("function", "said"), [*MISBEHAVIOUR, *VERDICTS], ids=lambda item: getattr(item, "__name__", "")
)
def test_before(make_kernel: MakeKernel, function: Any, said: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever `before` does wrong, the client is told to abort and by whose fault, and the run is as it was."""
    kernel = make_kernel(plugin("before", function), settings={"PREFECT_KERNEL_PLUGIN_TIMEOUT": 0.2})
    with caplog.at_level(logging.ERROR, "prefect_kernel.transition"):
        verdict, before, after = attempt(kernel)
    assert verdict.status == "ABORT"
    assert "acme.Rule (plugin acme)" in verdict.reason
    assert re.search(said, verdict.reason)
    assert after == before
    assert any("acme.Rule" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(("function", "said"), MISBEHAVIOUR, ids=lambda item: getattr(item, "__name__", ""))
def test_after(make_kernel: MakeKernel, function: Any, said: str) -> None:
    """Whatever `after` does wrong, the state that was already judged good is not entered."""
    kernel = make_kernel(plugin("after", function), settings={"PREFECT_KERNEL_PLUGIN_TIMEOUT": 0.2})
    verdict, before, after = attempt(kernel)
    assert verdict.status == "ABORT"
    assert "acme.Rule (plugin acme)" in verdict.reason
    assert after == before


@pytest.mark.parametrize("hook", ["before", "after"])
@pytest.mark.parametrize(
    "function",
    [raises, yields_a_write, reads_from_nowhere, hangs, hangs_async, writes_to_nowhere, expects_what_never_is],
)
def test_on_postgresql(make_kernel: MakeKernel, postgres_url: str, function: Any, hook: str) -> None:
    """What touches the database is contained on PostgreSQL, too, where an error spoils the whole transaction."""
    settings = {"PREFECT_KERNEL_PLUGIN_TIMEOUT": 0.2}
    kernel = make_kernel(plugin(hook, function), storage=postgres_url, settings=settings)
    verdict, before, after = attempt(kernel)
    assert verdict.status == "ABORT"
    assert "acme.Rule (plugin acme)" in verdict.reason
    assert after == before


def raises_later(move: Move) -> Any:
    """What fails when it is called."""

    def action() -> None:
        raise ValueError("too late")

    return action


def exits_later(move: Move) -> Any:
    """What would end the process when it is called."""
    return sys.exit


def hangs_later(move: Move) -> Any:
    """What never returns when it is awaited."""
    return asyncio.Event().wait


@pytest.mark.parametrize("make", [raises_later, exits_later, hangs_later])
def test_after_the_commit(make_kernel: MakeKernel, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The state is entered by then: what a rule does after the commit costs nobody their answer, nor others theirs."""
    done = []

    def declares(self: FlowRule, move: Move) -> None:
        move.on_commit += [make(move), lambda: done.append(move.run["id"])]

    kernel = make_kernel(plugin("after", declares), settings={"PREFECT_KERNEL_PLUGIN_TIMEOUT": 0.2})
    run = kernel.flow_run(state={"type": "PENDING"})
    with caplog.at_level(logging.ERROR, "prefect_kernel.transition"):
        verdict = kernel.propose(run, "Running")
    assert verdict.status == "ACCEPT"
    assert kernel.client.get(f"/flow_runs/{run['id']}").json()["state_type"] == "RUNNING"
    assert done == [run["id"]]
    assert "what rule acme.Rule of plugin acme does after the commit failed" in caplog.messages


def test_a_rule_that_cannot_be_made(make_kernel: MakeKernel) -> None:
    """A rule whose class cannot be called aborts the transition."""

    def broken(self: FlowRule, *arguments: Any) -> None:
        raise ValueError("no good")

    verdict, before, after = attempt(make_kernel(plugin("__init__", broken)))
    assert (verdict.status, after) == ("ABORT", before)
    assert "acme.Rule (plugin acme): ValueError('no good')" in verdict.reason


def test_cleanup_of_a_rule_that_raised(make_kernel: MakeKernel) -> None:
    """A rule that raised is asked to clean up; one that hangs is left alone, for it may go on running."""
    asked = []

    def cleanup(self: FlowRule, move: Move) -> None:
        asked.append(self.rule_name())

    settings = {"PREFECT_KERNEL_PLUGIN_TIMEOUT": 0.2}
    attempt(make_kernel(plugin("before", raises, cleanup=cleanup), settings=settings))
    assert asked == ["acme.Rule"]
    attempt(make_kernel(plugin("before", hangs, cleanup=cleanup), settings=settings))
    assert asked == ["acme.Rule"]


def test_what_other_rules_had_declared_goes_too(make_kernel: MakeKernel) -> None:
    """When a rule fails on the way out, the writes and events of every other rule are dropped with it."""
    done = []

    def declares(self: FlowRule, move: Move) -> None:
        move.on_commit.append(lambda: done.append("committed"))
        move.emit({"id": move.run["id"], "event": "acme.started", "occurred": move.now})

    inner = plugin("after", declares, policy="global-flow", name="acme.Inner")
    inner.__class__.__name__, outer = "inner", plugin("after", raises, name="acme.Outer")
    verdict, before, after = attempt(make_kernel(inner, outer))
    assert (verdict.status, after, done) == ("ABORT", before, [])


def test_a_failing_rule_where_runs_are_created(make_kernel: MakeKernel) -> None:
    """A rule that fails inside of the transaction that creates a run refuses its first state, and nothing else."""
    kernel = make_kernel(plugin("before", raises, policy="global-flow", to_states={"PENDING"}))
    run = kernel.flow_run(state={"type": "PENDING"})
    assert run["state"] is None
    assert kernel.client.get(f"/flow_runs/{run['id']}").json()["state"] is None


def test_threads_that_hang_do_not_pile_up(make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """When many hooks hang already, the next one fails at once, and does not take another thread with it."""
    from prefect_kernel import foreign

    monkeypatch.setattr(foreign, "MAX_STUCK", 2)
    kernel = make_kernel(plugin("before", hangs), settings={"PREFECT_KERNEL_PLUGIN_TIMEOUT": 0.2})
    reasons = [attempt(kernel)[0].reason for _ in range(4)]
    assert ["2 hooks of rules hang already" in reason for reason in reasons] == [False, False, True, True]
    released.set()
    for thread in list(foreign._stuck):
        thread.join(10)
    assert attempt(kernel)[0].reason == "too late", "once they have returned, hooks are run again"
