"""Third parties' rules that behave: what they decide and declare comes true, in the order of nesting, once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_kernel import FlowRule, FlowTransform, Insert, Move, TaskRule, hookimpl
from prefect_kernel.errors import PluginError
from prefect_kernel.migrations import ledger
from prefect_kernel.sql import Statement
from prefect_kernel.sql.types import Timestamp
from prefect_kernel.testing import KernelUnderTest, MakeKernel

NOTE = Statement(
    sa.insert(ledger).values(
        plugin=sa.bindparam("plugin"),
        revision=sa.bindparam("revision"),
        applied=sa.bindparam("applied", type_=Timestamp()),
    )
)
NOTES = Statement(sa.select(ledger.c.revision).where(ledger.c.plugin == sa.bindparam("plugin")))


@pytest.fixture
def storage(request: pytest.FixtureRequest, database_url: str) -> str:
    """A new database: the test runs on SQLite and on PostgreSQL."""
    return database_url


def plugin(*edits: Insert) -> Any:
    """A plugin with these edits."""

    class Acme:
        __name__ = "acme"

        @hookimpl
        def kernel_policy_edits(self, settings: Any) -> Any:
            return edits

    return Acme()


def started(kernel: KernelUnderTest, **fields: Any) -> Any:
    """The verdict on the start of a new pending run, and the run's id."""
    run = kernel.flow_run(state={"type": "PENDING"})
    return kernel.propose(run, "Running", **fields), run["id"]


def reject_plainly(self: FlowRule, move: Move) -> None:
    """Decide at once."""
    assert move.proposed is not None
    move.reject(move.proposed.fresh_copy(move.now, type="SCHEDULED", name="Held"), "held")


def reject_after_reading(self: FlowRule, move: Move) -> Any:
    """Decide on what was read."""
    rows = yield NOTES(plugin="nobody")
    assert rows == []
    reject_plainly(self, move)


async def reject_after_waiting(self: FlowRule, move: Move) -> None:
    """Decide after a while, with a read of one's own."""

    def read() -> Any:
        return (yield NOTES(plugin="nobody"))

    assert await move.kernel.storage.read(read) == []
    await asyncio.sleep(0)
    reject_plainly(self, move)


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("before", [reject_plainly, reject_after_reading, reject_after_waiting])
def test_a_rule_decides(make_kernel: MakeKernel, storage: str, before: Any, inline: bool) -> None:
    """Plain, generator and async hooks decide alike; only an inline rule cannot be async."""
    rule = type("R", (FlowRule,), {"name": "acme.R", "to_states": {"RUNNING"}, "before": before, "inline": inline})
    acme = plugin(Insert(rule, "core-flow", after="CopyScheduledTime"))
    if inline and before is reject_after_waiting:
        with pytest.raises(PluginError, match=r"rule acme\.R is async, and can thus not be inline"):
            make_kernel(acme, storage=storage)
        return
    kernel = make_kernel(acme, storage=storage)
    verdict, run_id = started(kernel)
    assert (verdict.status, verdict.reason) == ("REJECT", "held")
    assert kernel.client.get(f"/flow_runs/{run_id}").json()["state_name"] == "Held"


def test_an_aborting_a_waiting_and_a_renaming_rule(make_kernel: MakeKernel) -> None:
    """A third party's rule may abort, ask to wait until a point in time, and give the state another name."""

    class Choose(FlowRule):
        name = "acme.Choose"
        to_states = {"RUNNING"}

        def before(self, move: Move) -> None:
            match move.proposed and move.proposed.message:
                case "abort":
                    move.abort("not today")
                case "wait":
                    move.delay(move.now + timedelta(seconds=90), "later")
                case _:
                    move.rename("Jogging")

    kernel = make_kernel(plugin(Insert(Choose, "core-flow", after="WaitForScheduledTime")))
    assert started(kernel, message="abort")[0].details == {"type": "abort_details", "reason": "not today"}
    waits = started(kernel, message="wait")[0].details
    assert waits == {"type": "wait_details", "delay_seconds": 90, "reason": "later"}
    accepted, _ = started(kernel)
    assert (accepted.status, accepted.state["name"]) == ("ACCEPT", "Jogging")


def test_what_is_declared_comes_with_the_state(make_kernel: MakeKernel, storage: str) -> None:
    """Writes, events and follow-ups of a rule happen with an accepted transition; columns that it sets are stored."""
    done = []

    class Declare(FlowRule):
        name = "acme.Declare"
        to_states = {"RUNNING"}

        def after(self, move: Move) -> None:
            move.write(NOTE(plugin="acme", revision=move.run["id"], applied=move.now), expect=1)
            move.emit({"id": move.run["id"], "event": "acme.started", "occurred": move.now})
            move.on_commit.append(lambda: done.append(move.run["id"]))
            move.run["run_count"] += 40

    kernel = make_kernel(plugin(Insert(Declare, "core-flow", after="CopyScheduledTime")), storage=storage)
    verdict, run_id = started(kernel)

    def notes() -> Any:
        return [row[0] for row in (yield NOTES(plugin="acme"))]

    assert verdict.status == "ACCEPT"
    assert kernel.run(kernel.kernel.storage.read(notes)) == [run_id]
    assert [event["event"] for event in kernel.events if event["event"].startswith("acme.")] == ["acme.started"]
    assert done == [run_id]
    assert kernel.client.get(f"/flow_runs/{run_id}").json()["run_count"] == 41


def test_rules_nest(make_kernel: MakeKernel) -> None:
    """After X means inside X: an outer rule's `before` comes first, and its `after` last."""
    order = []

    def recording(name: str) -> type[FlowRule]:
        def before(self: FlowRule, move: Move) -> None:
            order.append(f"{name} before")

        def after(self: FlowRule, move: Move) -> None:
            order.append(f"{name} after")

        return type(name, (FlowRule,), {"to_states": {"RUNNING"}, "before": before, "after": after})

    outer, inner = recording("Outer"), recording("Inner")
    edits = [Insert(inner, "core-flow", after="Outer"), Insert(outer, "core-flow", before="RetryFailedFlows")]
    started(make_kernel(plugin(*edits)))
    assert order == ["Outer before", "Inner before", "Inner after", "Outer after"]


def test_a_rule_fizzles(make_kernel: MakeKernel) -> None:
    """A rule whose transition is changed by a later one is asked to clean up, in place of `after`."""
    asked = []

    class First(FlowRule):
        to_states = {"RUNNING"}

        def after(self, move: Move) -> None:
            asked.append("after")

        async def cleanup(self, move: Move) -> None:
            asked.append("cleanup")

    second = type("Second", (FlowRule,), {"to_states": {"RUNNING"}, "before": reject_plainly})

    class Third(FlowRule):
        to_states = {"RUNNING"}

        def before(self, move: Move) -> None:
            asked.append("third")

    edits = [
        Insert(First, "core-flow", after="CopyScheduledTime"),
        Insert(second, "core-flow", after="First"),
        Insert(Third, "core-flow", after="Second"),
    ]
    verdict, _ = started(make_kernel(plugin(*edits)))
    assert asked == ["cleanup"]
    assert [entry for entry in verdict.trail if entry[0] in ("First", "Second", "Third")] == [
        ("First", "passed", None),
        ("Second", "REJECT", "held"),
        ("Third", "skipped", None),
    ]


def test_transforms_and_task_rules(make_kernel: MakeKernel) -> None:
    """A third party's transform takes part in every transition of runs, and task rules in those of task runs."""
    seen: Counter[str] = Counter()

    class Watch(FlowTransform):
        def before(self, move: Move) -> None:
            seen[f"flow {move.proposed_type}"] += 1

    class Slow(TaskRule):
        to_states = {"PENDING"}

        async def before(self, move: Move) -> None:
            seen[f"task {move.proposed_type}"] += 1

    kernel = make_kernel(
        plugin(Insert(Watch, "global-flow", after="SetStartTime"), Insert(Slow, "core-task", before="CacheRetrieval"))
    )
    verdict, run_id = started(kernel)
    assert verdict.status == "ACCEPT"
    task = kernel.task_run(flow_run_id=run_id)
    assert kernel.propose(task, "Pending").status == "ACCEPT"
    assert seen == {"flow PENDING": 1, "flow RUNNING": 1, "task PENDING": 1}


def test_racing_transitions_with_a_slow_rule(make_kernel: MakeKernel, storage: str) -> None:
    """Of 64 clients that race a run into PENDING, each waiting in a rule, exactly one is accepted."""

    class Slow(FlowRule):
        to_states = {"PENDING"}

        async def before(self, move: Move) -> None:
            await asyncio.sleep(0.01)

    kernel = make_kernel(plugin(Insert(Slow, "core-flow", after="CopyScheduledTime")), storage=storage)
    run = kernel.flow_run(state={"type": "SCHEDULED"})
    body = {"state": {"type": "PENDING", "name": "Pending"}}
    answers = kernel.client.together(64, "POST", f"/flow_runs/{run['id']}/set_state", json=body)
    assert Counter(answer.json()["status"] for answer in answers) == {"ACCEPT": 1, "ABORT": 63}
    states = kernel.client.get("/flow_run_states/", params={"flow_run_id": run["id"]}).json()
    assert [state["type"] for state in states] == ["SCHEDULED", "PENDING"]


def test_racing_transitions_all_come_through(make_kernel: MakeKernel, storage: str) -> None:
    """Where every one of many racing proposals is allowed, all are accepted, one after the other."""

    class Slow(FlowRule):
        to_states = {"RUNNING"}

        def before(self, move: Move) -> None:
            assert move.proposed is not None

    kernel = make_kernel(plugin(Insert(Slow, "core-flow", after="CopyScheduledTime")), storage=storage)
    run = kernel.flow_run(state={"type": "PENDING"})
    body = {"state": {"type": "RUNNING", "name": "Running"}}
    answers = kernel.client.together(8, "POST", f"/flow_runs/{run['id']}/set_state", json=body)
    assert [answer.json()["status"] for answer in answers] == ["ACCEPT"] * 8
    assert kernel.client.get(f"/flow_runs/{run['id']}").json()["run_count"] == 8
