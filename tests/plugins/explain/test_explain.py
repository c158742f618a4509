"""Dry runs and trails: they say what really happens, and change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_kernel import FlowRule, Insert, Move, hookimpl
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.explain.command import lines

TABLES = ("flow_run", "flow_run_state", "task_run", "task_run_state", "artifact", "concurrency_limit_v2")
_ONES = [sa.select(sa.func.count()).select_from(sa.table(name)).scalar_subquery().label(name) for name in TABLES]
COUNTS = Statement(sa.select(*_ONES))


def explain(kernel: KernelUnderTest, run: dict[str, Any], type: str, force: bool = False, **state: Any) -> Any:
    """What a dry run says."""
    kind = "task_runs" if "task_key" in run else "flow_runs"
    body = {"state": {"type": type, **state}, "force": force}
    answer = kernel.client.post(f"/kernel/{kind}/{run['id']}/explain", json=body)
    assert answer.status == 200, answer.text
    return answer.json()


def trail(kernel: KernelUnderTest, run: dict[str, Any]) -> Any:
    """The remembered decisions."""
    kind = "task_runs" if "task_key" in run else "flow_runs"
    return kernel.client.get(f"/kernel/{kind}/{run['id']}/trail").json()


def everything(kernel: KernelUnderTest, run: dict[str, Any]) -> Any:
    """All that a dry run could have changed."""

    def counts() -> Unit[Any]:
        return (yield COUNTS())

    kind = "task_runs" if "task_key" in run else "flow_runs"
    rows = [tuple(row) for row in kernel.run(kernel.kernel.storage.read(counts))]
    return rows, kernel.client.get(f"/{kind}/{run['id']}").json(), len(kernel.events)


Make = Callable[[KernelUnderTest], dict[str, Any]]


def scheduled_later(kernel: KernelUnderTest) -> dict[str, Any]:
    """A run that has to wait."""
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2200-01-01T00:00:00Z"}}
    return kernel.flow_run(state=later)


def failed_with_retries(kernel: KernelUnderTest) -> dict[str, Any]:
    """A running run that may try again."""
    run = kernel.flow_run(empirical_policy={"retries": 2, "retry_delay": 60})
    kernel.propose(run, "Running")
    return run


def completed(kernel: KernelUnderTest) -> dict[str, Any]:
    """A run that has ended, with a result."""
    run = kernel.flow_run()
    kernel.propose(run, "Running")
    kernel.propose(run, "Completed", data={"type": "reference", "storage_key": "x"})
    return run


CASES: list[tuple[Make, str, bool]] = [
    (scheduled_later, "RUNNING", False),
    (scheduled_later, "RUNNING", True),
    (failed_with_retries, "FAILED", False),
    (failed_with_retries, "COMPLETED", False),
    (completed, "PENDING", False),
    (completed, "RUNNING", False),
    (lambda kernel: kernel.task_run(), "RUNNING", False),
    (lambda kernel: kernel.task_run(), "PENDING", False),
    (lambda kernel: kernel.task_run(), "CANCELLED", True),
]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_dry_run_says_what_then_happens(kernel: KernelUnderTest, number: int) -> None:
    """Nothing is changed by the dry run; the same proposal then gets that verdict, that reason and that state."""
    make, type, force = CASES[number]
    run = make(kernel)
    before = everything(kernel, run)
    told = explain(kernel, run, type, force)
    assert everything(kernel, run) == before
    known = len(trail(kernel, run))
    verdict = kernel.propose(run, type.title(), force=force)
    assert (told["verdict"], told["reason"]) == (verdict.status, verdict.reason)
    written = told["would_write"]["state"]
    if written is not None:
        assert verdict.state is not None
        assert [written[key] for key in ("type", "name", "message")] == [
            verdict.state[key] for key in ("type", "name", "message")
        ]
    real = trail(kernel, run)
    assert len(real) == known + 1  # the dry run is none of the real ones
    assert [rule["rule"] for rule in real[0]["rules"]] == [rule["rule"] for rule in told["rules"]]
    for rule, dry in zip(real[0]["rules"], told["rules"], strict=True):
        quiet = "took part" if dry["decision"] in ("changed", "let pass") else dry["decision"]
        assert rule["decision"] == quiet
        assert rule["plugin"] == "policies"


def test_the_rule_that_decided_is_named(kernel: KernelUnderTest) -> None:
    """Rules stand in their order; the one that decided has its verdict and reason, those after it are skipped."""
    run = scheduled_later(kernel)
    told = explain(kernel, run, "RUNNING")
    said = {rule["rule"]: rule for rule in told["rules"]}
    assert said["WaitForScheduledTime"]["decision"] == "WAIT"
    assert said["WaitForScheduledTime"]["reason"] == told["reason"]
    assert told["delay_seconds"] > 0
    names = [rule["rule"] for rule in told["rules"] if rule["policy"] == "core-flow"]
    wanted = [rule.rule_name() for rule in kernel.kernel.policies["core-flow"].matching("SCHEDULED", "RUNNING")]
    assert names == wanted
    text = "\n".join(lines(told, tried=True))
    assert "SCHEDULED → RUNNING would be told to wait" in text
    assert "WaitForScheduledTime" in text


def test_changes_are_told(kernel: KernelUnderTest) -> None:
    """A rule that decides nothing but changes the run says what it changes."""
    told = explain(kernel, kernel.flow_run(), "RUNNING")
    said = {rule["rule"]: rule for rule in told["rules"]}
    assert said["IncrementFlowRunCount"]["changes"] == ["run.run_count"]
    assert said["IncrementFlowRunCount"]["decision"] == "changed"
    assert said["SetEndTime"]["decision"] == "let pass"


def test_missing_and_wrong(kernel: KernelUnderTest) -> None:
    """An unknown run is 404, a wrong state 422; a run that nothing was decided about has an empty trail."""
    nobody = "00000000-0000-4000-8000-000000000000"
    state = {"state": {"type": "RUNNING"}}
    for kind in ("flow_runs", "task_runs"):
        assert kernel.client.post(f"/kernel/{kind}/{nobody}/explain", json=state).status == 404
        assert kernel.client.post(f"/kernel/{kind}/{nobody}/explain", json={"state": {"type": "X"}}).status == 422
        assert kernel.client.get(f"/kernel/{kind}/{nobody}/trail").json() == []
    assert kernel.client.get("/kernel/rules/coverage").status == 404


class Curfew(FlowRule):
    """Nothing runs."""

    to_states = frozenset({"RUNNING"})

    def before(self, move: Move) -> None:
        move.reject(None, "It is late.")


class Nights:
    """A third party's plugin."""

    name = "nights"

    @hookimpl
    def kernel_policy_edits(self, settings: Any) -> list[Insert]:
        return [Insert(Curfew, policy="core-flow", before="PreventDuplicateTransitions")]


def test_rules_of_third_parties(make_kernel: MakeKernel, database_url: str) -> None:
    """They are asked like the others, and the plugin is named."""
    kernel = make_kernel(Nights(), storage=database_url)
    run = kernel.flow_run()
    told = explain(kernel, run, "RUNNING")
    [mine] = [rule for rule in told["rules"] if rule["rule"] == "Curfew"]
    assert (mine["decision"], mine["reason"], told["verdict"]) == ("REJECT", "It is late.", "REJECT")
    assert mine["plugin"] not in ("policies", None)
    kernel.propose(run, "Running")
    assert [rule["decision"] for rule in trail(kernel, run)[0]["rules"] if rule["rule"] == "Curfew"] == ["REJECT"]


def test_memory_is_bounded(make_kernel: MakeKernel) -> None:
    """Only so many decisions are remembered; with 0 none at all."""
    kernel = make_kernel(settings={"PREFECT_KERNEL_EXPLAIN_DECISIONS": 3})
    run = kernel.flow_run()
    for name in ("Pending", "Running", "Paused", "Running", "Completed"):
        kernel.propose(run, name)
    assert [told["to"] for told in trail(kernel, run)] == ["COMPLETED", "RUNNING", "PAUSED"]


def test_coverage_is_counted(make_kernel: MakeKernel, database_url: str) -> None:
    """Where it is asked for, each rule has its counts."""
    kernel = make_kernel(storage=database_url, settings={"PREFECT_KERNEL_EXPLAIN_COVERAGE": True})
    run = scheduled_later(kernel)
    assert kernel.propose(run, "Running").status == "WAIT"
    assert kernel.propose(run, "Cancelled").status == "ACCEPT"
    counts = {(entry["policy"], entry["rule"]): entry for entry in kernel.client.get("/kernel/rules/coverage").json()}
    waiting = counts["core-flow", "WaitForScheduledTime"]
    assert (waiting["fired"], waiting["not_concerned"], waiting["preceded"]) == (1, 1, 0)
    retry = counts["core-flow", "RetryFailedFlows"]
    assert (retry["fired"], retry["preceded"], retry["first"]) == (0, 1, False)
    assert counts["core-task", "CacheRetrieval"]["fired"] == 0
