"""The kit of plugin authors does what its documentation says."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from prefect_kernel import Service, hookimpl
from prefect_kernel.testing import KernelUnderTest, LoopThread, MakeKernel, SettableClock
from prefect_kernel.testing.clock import BEGIN

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[3]


@pytest.fixture
def kernel(make_kernel: MakeKernel, database_url: str) -> KernelUnderTest:
    """A kernel on SQLite and on PostgreSQL."""
    made: KernelUnderTest = make_kernel(storage=database_url)
    return made


def test_a_run_through_its_states(kernel: KernelUnderTest) -> None:
    """`propose` gives the verdict, the state as clients see it, and the rules that were asked, in order."""
    run = kernel.flow_run(state={"type": "PENDING"})
    verdict = kernel.propose(run, "Running")
    assert (verdict.status, verdict.reason) == ("ACCEPT", None)
    assert verdict.state is not None
    assert verdict.state["type"] == "RUNNING"
    order = [rule.rule_name() for rule in kernel.kernel.policies["core-flow"].rules]
    assert verdict.rules == sorted(verdict.rules, key=order.index)
    assert "WaitForScheduledTime" in verdict.rules


def test_a_rule_that_was_skipped_is_not_among_the_rules(kernel: KernelUnderTest) -> None:
    """A rule that had no say any more is in the trail, and not among the rules that were asked."""
    scheduled = (kernel.clock.now() + timedelta(minutes=10)).isoformat()
    run = kernel.flow_run(state={"type": "SCHEDULED", "state_details": {"scheduled_time": scheduled}})
    verdict = kernel.propose(run, "Running")
    assert verdict.status == "WAIT"
    assert verdict.details["delay_seconds"] == 600
    skipped = [name for name, outcome, _ in verdict.trail if outcome == "skipped"]
    assert not set(skipped).intersection(verdict.rules)
    kernel.clock.advance(minutes=10)
    assert kernel.propose(run, "Running").status == "ACCEPT"


def test_task_runs(kernel: KernelUnderTest) -> None:
    """Task runs are created and judged by their own policy."""
    flow_run = kernel.flow_run()
    assert kernel.propose(flow_run, "Running").status == "ACCEPT"
    task = kernel.task_run(flow_run_id=flow_run["id"])
    assert kernel.propose(task, "Running").status == "ACCEPT"


def test_states_by_name(kernel: KernelUnderTest) -> None:
    """Prefect's names of states stand for their types; any other name needs a type."""
    run = kernel.flow_run(state={"type": "SCHEDULED"})
    with pytest.raises(ValueError, match="'Resting' is no type of state"):
        kernel.propose(run, "Resting")
    verdict = kernel.propose(run, "Resting", type="PENDING")
    assert verdict.state is not None
    assert (verdict.state["type"], verdict.state["name"]) == ("PENDING", "Resting")


def test_events_are_those_of_committed_transactions(kernel: KernelUnderTest) -> None:
    """Events are there once what they tell of is committed, in order, each once."""
    run = kernel.flow_run(state={"type": "PENDING"})
    before = len(kernel.events)
    kernel.propose(run, "Running")
    names = [event["event"] for event in kernel.events[before:]]
    assert names == ["prefect.flow-run.Running"]
    assert kernel.events == kernel.events


def test_a_refused_request_is_an_assertion(kernel: KernelUnderTest) -> None:
    """What the kit asks for on a test's behalf, and does not get, fails the test with the answer."""
    with pytest.raises(AssertionError, match="404"):
        kernel.propose("00000000-0000-0000-0000-000000000000", "Running")


def test_kernels_are_apart(make_kernel: MakeKernel) -> None:
    """Two kernels of one test have databases of their own."""
    one, two = make_kernel(), make_kernel()
    one.flow_run()
    assert one.client.post("/flow_runs/count", json={}).json() == 1
    assert two.client.post("/flow_runs/count", json={}).json() == 0


def test_the_environment_plays_no_part(make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are the defaults and what the test gives."""
    monkeypatch.setenv("PREFECT_SERVER_API_DEFAULT_LIMIT", "7")
    assert make_kernel().kernel.settings.server.api.default_limit == 200
    given = make_kernel(settings={"PREFECT_SERVER_API_DEFAULT_LIMIT": 9})
    assert given.kernel.settings.server.api.default_limit == 9


def test_services_run_only_when_told(make_kernel: MakeKernel) -> None:
    """No service runs by itself; `tick` runs one round, and raises what it raises."""
    rounds = []

    class Count(Service):
        name = "count"

        @classmethod
        def every(cls, settings: Any) -> float:
            return 0.001

        async def tick(self) -> None:
            rounds.append(self.kernel.clock.now())
            if len(rounds) == 2:
                raise ValueError("no good")

    class Acme:
        __name__ = "acme"

        @hookimpl
        def kernel_services(self, settings: Any) -> Any:
            return [Count]

    kernel = make_kernel(Acme())
    kernel.clock.advance(hours=1)
    assert rounds == []
    kernel.tick("count")
    assert rounds == [BEGIN + timedelta(hours=1)]
    with pytest.raises(ValueError, match="no good"):
        kernel.tick("count")
    with pytest.raises(LookupError, match="There is no service 'cuont'"):
        kernel.tick("cuont")


def test_the_clock_stands_still_and_wakes_sleepers_in_order() -> None:
    """Time moves only when it is told to, never back; who slept is woken by the end of the sleep."""
    clock, woken = SettableClock(), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    async def story() -> None:
        tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (30, 10, 20)]
        await asyncio.sleep(0)
        clock.advance(seconds=25)
        await asyncio.wait(tasks[1:])
        assert woken == [10, 20]
        assert not tasks[0].done()
        clock.advance(seconds=5)
        await tasks[0]

    with LoopThread() as loop:
        assert clock.now() == clock.now() == BEGIN
        loop.run(clock.sleep(0))
        loop.run(story())
    assert woken == [10, 20, 30]
    with pytest.raises(ValueError, match="Time does not go back"):
        clock.set(BEGIN)


def test_what_waits_for_ever_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a clock that nobody moves is told what does not end."""
    monkeypatch.setattr("prefect_kernel.testing.loop.PATIENCE", 0.1)
    clock = SettableClock()
    with LoopThread() as loop, pytest.raises(TimeoutError, match=r"SettableClock.sleep did not end within 0.1 seconds"):
        loop.run(clock.sleep(5))


def test_the_example_passes_its_own_tests(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example distribution's tests, which use the kit as a stranger would, pass."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "examples" / "acme-freeze" / "src"))
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\nasyncio_default_fixture_loop_scope = "function"\n')
    for name in ("conftest.py", "test_freeze.py"):
        (pytester.path / name).write_text((ROOT / "examples" / "acme-freeze" / "tests" / name).read_text())
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=5)
