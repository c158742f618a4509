"""Actions: what is done, told, tried again and given up."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.automations import acting, firings, performing
from prefect_kernel_plugins.automations.acting import Invocation
from prefect_kernel_plugins.automations.calling import TryAgain
from tests.plugins.automations.test_triggers import event, look, send, watch


def act(kernel: KernelUnderTest) -> list[dict[str, Any]]:
    """Let the service act; the events about actions, in all."""
    kernel.tick("actions")
    return [one for one in kernel.events if one["event"].startswith("prefect.automation.action.")]


def flow_run(kernel: KernelUnderTest, state: str = "Running") -> str:
    """A flow run in a state; its id."""
    run = kernel.flow_run()
    kernel.propose(run, state)
    return str(run["id"])


def fire(kernel: KernelUnderTest, *actions: dict[str, Any], of: str = "r", **fields: Any) -> str:
    """Make an automation with these actions and let it fire; its id."""
    id = watch(kernel, event(expect=["go"]), actions=list(actions), **fields)
    send(kernel, "go", of)
    look(kernel)
    return id


def test_what_is_told(kernel: KernelUnderTest) -> None:
    """Two events for each action, the second because of the first, which follows what fired."""
    id = fire(kernel, {"type": "do-nothing"}, {"type": "do-nothing"}, actions_on_trigger=[{"type": "do-nothing"}])
    told = act(kernel)
    assert [one["event"].rpartition(".")[2] for one in told] == ["triggered", "executed"] * 3
    first, second = told[:2]
    assert first["resource"] == {
        "prefect.resource.id": f"prefect.automation.{id}",
        "prefect.resource.name": "watch",
        "prefect.trigger-type": "event",
        "prefect.posture": "Reactive",
    }
    assert [one["prefect.resource.role"] for one in first["related"]] == [
        "automation-triggered-event",
        "triggering-event",
    ]
    assert second["follows"] == first["id"]
    assert [one["payload"]["action_index"] for one in told] == [0, 0, 1, 1, 2, 2]
    (fired,) = [one for one in kernel.events if one["event"] == "prefect.automation.triggered"]
    assert told[4]["follows"] == fired["id"]
    assert act(kernel) == told


def test_states_of_flow_runs(kernel: KernelUnderTest) -> None:
    """The run that the event is about is given the state; the automation's id is in the message."""
    run = flow_run(kernel)
    id = fire(kernel, {"type": "cancel-flow-run"}, of=f"prefect.flow-run.{run}")
    told = act(kernel)
    assert told[-1]["event"] == "prefect.automation.action.executed"
    state = kernel.client.get(f"/flow_runs/{run}").json()["state"]
    assert (state["type"], state["message"]) == ("CANCELLING", f"Cancelled by Automation {id}")
    assert told[-1]["payload"]["status_code"] in (200, 201)


def test_other_things_done_to_flow_runs(kernel: KernelUnderTest) -> None:
    """One action's failure does not keep the next from being done, in their order."""
    run = flow_run(kernel)
    fire(
        kernel,
        {"type": "suspend-flow-run"},
        {"type": "resume-flow-run"},
        {"type": "change-flow-run-state", "state": "FAILED", "name": "Bad", "message": "m", "force": True},
        of=f"prefect.flow-run.{run}",
    )
    told = act(kernel)
    assert [one["event"].rpartition(".")[2] for one in told[1::2]] == ["failed", "failed", "executed"]
    assert "without a deployment" in told[1]["payload"]["reason"]
    state = kernel.client.get(f"/flow_runs/{run}").json()["state"]
    assert (state["type"], state["name"], state["message"]) == ("FAILED", "Bad", "m")


def test_automations_that_disable_others(kernel: KernelUnderTest) -> None:
    """A chosen one, and that of the event."""
    other = watch(kernel, event(expect=["never"]))
    fire(kernel, {"type": "pause-automation", "automation_id": other})
    act(kernel)
    assert kernel.client.get(f"/automations/{other}").json()["enabled"] is False
    third = watch(kernel, event(expect=["on"]), actions=[{"type": "resume-automation", "source": "inferred"}])
    send(kernel, "on", f"prefect.automation.{other}")
    look(kernel)
    act(kernel)
    assert kernel.client.get(f"/automations/{other}").json()["enabled"] is True
    assert third


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ({"type": "cancel-flow-run"}, "No flow run could be inferred"),
        ({"type": "pause-deployment", "source": "inferred"}, "No deployment could be inferred"),
        ({"type": "pause-automation", "automation_id": "00000000-0000-4000-8000-000000000000"}, "Unexpected status"),
        (
            {
                "type": "run-deployment",
                "deployment_id": "00000000-0000-4000-8000-000000000000",
                "parameters": {"a": {"__prefect_kind": "workspace_variable", "variable_name": "none"}},
            },
            "Unable to create flow run from deployment: WorkspaceVariableNotFound()",
        ),
    ],
)
def test_what_cannot_be_done(kernel: KernelUnderTest, action: dict[str, Any], reason: str) -> None:
    """It is told once, and not tried again."""
    fire(kernel, action)
    told = act(kernel)
    assert told[-1]["event"] == "prefect.automation.action.failed"
    assert reason in told[-1]["payload"]["reason"]
    kernel.clock.advance(minutes=10)
    assert act(kernel) == told


def test_what_cannot_be_done_now(kernel: KernelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again, after longer and longer pauses; in the end it is given up, and can be retried by hand."""
    tries: list[str] = []

    async def busy(one: Invocation) -> None:
        tries.append(one.idempotency_key)
        raise TryAgain("busy")

    monkeypatch.setitem(acting.ACTIONS, "do-nothing", busy)
    id = fire(kernel, {"type": "do-nothing"})
    assert act(kernel) == []
    kernel.clock.advance(seconds=1)
    act(kernel)
    assert len(tries) == 1
    for _ in range(performing.MAX_ATTEMPTS):
        kernel.clock.advance(minutes=10)
        act(kernel)
    assert len(tries) == performing.MAX_ATTEMPTS
    assert len(set(tries)) == 1
    assert act(kernel)[-1]["event"] == "prefect.automation.action.failed"
    (letter,) = kernel.client.get("/kernel/automations/dead-letters").json()
    assert (letter["automation_id"], letter["status"], letter["error"]) == (id, "dead", "TryAgain: busy")
    monkeypatch.undo()
    retry = f"/kernel/automations/actions/{letter['id']}/retry"
    assert kernel.client.post(retry).status == 204
    assert act(kernel)[-1]["event"] == "prefect.automation.action.executed"
    assert kernel.client.post(retry).status == 409
    assert kernel.client.get("/kernel/automations/dead-letters").json() == []


def test_one_that_takes_long(kernel: KernelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds up what comes after it in its firing, and nothing that fires meanwhile."""
    done: list[str] = []
    go_on = asyncio.Event()

    async def slow(one: Invocation) -> None:
        await go_on.wait()
        done.append(f"slow {one.number}")

    async def quick(one: Invocation) -> None:
        done.append(f"quick {one.number}")

    monkeypatch.setitem(acting.ACTIONS, "cancel-flow-run", slow)
    monkeypatch.setitem(acting.ACTIONS, "do-nothing", quick)
    monkeypatch.setattr(performing, "BATCH", 4)
    slow_id = fire(kernel, {"type": "cancel-flow-run"}, {"type": "do-nothing"}, {"type": "do-nothing"})
    service = kernel.kernel.supervisor.services["actions"]

    async def begin() -> asyncio.Task[None]:
        return asyncio.create_task(service.tick())

    async def end() -> None:
        go_on.set()
        await asyncio.wait_for(acting_now, 20)

    acting_now = kernel.run(begin())
    kernel.client.delete(f"/automations/{slow_id}")
    fire(kernel, *[{"type": "do-nothing"}] * 3)
    end_of_patience = time.monotonic() + 20
    while len(done) < 3 and time.monotonic() < end_of_patience:
        time.sleep(0.02)
    assert done == ["quick 0", "quick 1", "quick 2"]
    kernel.run(end())
    assert done[3:] == ["slow 0", "quick 1", "quick 2"]


def test_firings_are_shown_and_forgotten(kernel: KernelUnderTest) -> None:
    """With their actions; after the time for which events are kept they are gone."""
    id = fire(kernel, {"type": "do-nothing"}, {"type": "cancel-flow-run"})
    path = f"/kernel/automations/{id}/firings"
    (waiting,) = kernel.client.get(path).json()
    assert [one["status"] for one in waiting["actions"]] == ["pending", "pending"]
    act(kernel)
    (done,) = kernel.client.get(path).json()
    assert done["triggering_event"]["event"] == "go"
    assert [(one["status"], one["error"]) for one in done["actions"]] == [
        ("done", None),
        ("failed", "No flow run could be inferred"),
    ]
    kernel.clock.advance(days=8)
    act(kernel)
    assert kernel.client.get(path).json() == []


def test_dry_run(kernel: KernelUnderTest) -> None:
    """When an automation would have fired, reactively and because nothing happened; nothing is written."""
    id = watch(kernel, event(expect=["go"], threshold=2, within=60), enabled=False)
    absent = event(expect=["go"], after=["begin"], posture="Proactive", within=30, for_each=["prefect.resource.id"])
    silent = watch(kernel, absent, name="silent", enabled=False)
    for at, name in ((-100, "go"), (-95, "go"), (-80, "begin"), (-10, "go")):
        send(kernel, name, at=at)
    found = kernel.client.post(f"/kernel/automations/{id}/test", json={}).json()
    assert (found["events"], len(found["firings"])) == (4, 1)
    assert len(kernel.client.post(f"/kernel/automations/{silent}/test", json={}).json()["firings"]) == 1
    assert look(kernel) == 0


async def running_loop() -> int:
    """The thread in which the kernel's event loop runs."""
    return threading.get_ident()


def test_dry_run_over_a_long_time(kernel: KernelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends when it has looked often enough, says that this was not all, and runs where nobody waits for it."""
    id = watch(kernel, event(expect=["never"], posture="Proactive", within=10), enabled=False)

    def dry_run(since: str) -> dict[str, Any]:
        found: dict[str, Any] = kernel.client.post(f"/kernel/automations/{id}/test", json={"since": since}).json()
        return found

    day = dry_run((kernel.clock.now() - timedelta(days=1)).isoformat())
    assert (day["complete"], len(day["firings"])) == (True, 8640)
    long = dry_run("0001-01-01T00:00:00Z")
    assert (long["complete"], long["events"]) == (False, 0)
    assert 5_000 < len(long["firings"]) <= firings.DRY_RUN_LOOKS
    loop = kernel.run(running_loop())
    threads: list[bool] = []

    def told(*_: Any) -> dict[str, Any]:
        threads.append(threading.get_ident() != loop)
        return {}

    monkeypatch.setattr(firings, "dry_run", told)
    dry_run("2026-01-01T00:00:00Z")
    assert threads == [True]


def test_who_dies_while_acting(kernel: KernelUnderTest) -> None:
    """An action that was claimed and never ended is done by another, once."""
    fire(kernel, {"type": "do-nothing"})
    storage, clock = kernel.kernel.storage, kernel.clock
    (claimed,) = kernel.run(storage.write(performing.claim, kernel.kernel, clock.now()))
    assert act(kernel) == []
    clock.advance(minutes=3)
    told = act(kernel)
    assert len(told) == 2
    assert kernel.run(storage.write(performing.end, claimed[0], "done", None, clock.now())) is False
    assert act(kernel) == told


def test_a_clock_that_is_set_back(kernel: KernelUnderTest) -> None:
    """What was put off by a clock that was ahead is done by the one that is right."""
    kernel.clock.advance(hours=2)
    watch(kernel, event(expect=["a"]))
    send(kernel, "a")
    assert look(kernel) == 1
    kernel.clock._now -= timedelta(hours=2)
    kernel.tick("actions")
    assert [one["event"] for one in kernel.events][-1] == "prefect.automation.action.executed"
