"""Retries, caching, timeouts, failures, crashes, transactions."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from _summary import main, run_id, summary
from prefect import flow, task
from prefect.cache_policies import INPUTS
from prefect.states import Cancelled, Completed, Failed
from prefect.transactions import transaction

TRIES: dict[str, int] = {}


def _fail_first(key: str, times: int) -> int:
    TRIES[key] = TRIES.get(key, 0) + 1
    if TRIES[key] <= times:
        raise ValueError(f"try {TRIES[key]}")
    return TRIES[key]


@task(retries=2, retry_delay_seconds=[0.1, 0.2], retry_jitter_factor=0.5)
def shaky(times: int) -> int:
    return _fail_first(f"task {times}", times)


@task(retries=3, retry_condition_fn=lambda task, run, state: False)
def never_again() -> None:
    raise ValueError("no")


@flow(name="conformance-task-retries")
def with_task_retries(times: int) -> int:
    return shaky(times)


def task_retries() -> Any:
    """A task that fails twice and then succeeds, and one that fails too often."""
    good = with_task_retries(2, return_state=True)
    assert good.result() == 3
    bad = with_task_retries(5, return_state=True)
    assert bad.is_failed()
    shown = [summary(run_id(good), 1, task_states=7), summary(run_id(bad), 1, task_states=7)]
    names = [state[1] for state in shown[0]["tasks"][0]["states"]]
    assert names == ["Pending", "Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed"], names
    assert shown[0]["tasks"][0]["run_count"] == 3
    return shown


@flow(name="conformance-flow-retries", retries=2, retry_delay_seconds=0.2)
def with_flow_retries(times: int) -> int:
    return _fail_first(f"flow {times}", times)


def flow_retries() -> Any:
    """A flow that fails once, waits and runs again; one that fails for good."""
    good = with_flow_retries(1, return_state=True)
    assert good.result() == 2
    bad = with_flow_retries(9, return_state=True)
    assert bad.is_failed()
    shown = [summary(run_id(good), 0), summary(run_id(bad), 0)]
    assert [state[1] for state in shown[0]["states"]] == [
        "Pending",
        "Running",
        "AwaitingRetry",
        "Running",
        "Completed",
    ]
    assert shown[0]["run_count"] == 2
    assert shown[1]["run_count"] == 3
    return shown


@flow(name="conformance-no-retry")
def refuses() -> None:
    never_again()


def retry_condition() -> Any:
    """A condition that is not met: no retry."""
    state = refuses(return_state=True)
    assert state.is_failed()
    return summary(run_id(state), 1)


@task(cache_policy=INPUTS, persist_result=True)
def cached(x: float) -> float:
    return x


@task(cache_key_fn=lambda context, parameters: f"conformance-{parameters['x']}", persist_result=True)
def cached_by_key(x: float) -> float:
    return x


@flow(name="conformance-caching")
def caching(x: float) -> list[float]:
    refreshed = cached.with_options(refresh_cache=True)
    return [cached(x), cached(x), cached_by_key(x), cached_by_key(x), refreshed(x)]


def caches() -> Any:
    """A second call with the same inputs, or the same key, is Cached."""
    # A value of its own for each run of the script: results lie in the home directory.
    x = time.time()
    state = caching(x, return_state=True)
    assert state.result() == [x] * 5
    shown = summary(run_id(state), 5, task_states=2)
    last = sorted(each["states"][-1][1] for each in shown["tasks"])
    assert last == ["Cached", "Cached", "Completed", "Completed", "Completed"], last
    shown["parameters"] = "<x>"
    for each in shown["tasks"]:
        for one in each["states"]:
            one[3].pop("cache_key", None)
    return shown


@task(timeout_seconds=0.2)
def too_slow() -> None:
    time.sleep(2)


@flow(name="conformance-task-timeout")
def with_slow_task() -> None:
    too_slow()


@flow(name="conformance-flow-timeout", timeout_seconds=0.3)
async def too_slow_flow() -> None:
    await asyncio.sleep(3)


def timeouts() -> Any:
    """What takes too long is TimedOut."""
    first = with_slow_task(return_state=True)
    second = asyncio.run(too_slow_flow(return_state=True))
    shown = [summary(run_id(first), 1), summary(run_id(second), 0)]
    assert shown[0]["tasks"][0]["states"][-1][:2] == ["FAILED", "TimedOut"]
    assert shown[1]["states"][-1][:2] == ["FAILED", "TimedOut"]
    return shown


@flow(name="conformance-raises")
def raises() -> None:
    raise RuntimeError("böse")


@flow(name="conformance-returns-states")
def returns(kind: str) -> Any:
    return {"failed": Failed(message="mine"), "done": Completed(message="all", name="Mine"), "off": Cancelled()}[kind]


def failures() -> Any:
    """Exceptions and returned states become the final state."""
    shown = [summary(run_id(raises(return_state=True)), 0)]
    shown += [summary(run_id(returns(kind, return_state=True)), 0) for kind in ("failed", "done", "off")]
    last = [one["states"][-1][:2] for one in shown]
    assert last == [["FAILED", "Failed"], ["FAILED", "Failed"], ["COMPLETED", "Mine"], ["CANCELLED", "Cancelled"]], last
    return shown


IDS: list[Any] = []


@flow(name="conformance-crash", on_crashed=[lambda flow, run, state: IDS.append(run.id)])
def crashes() -> None:
    raise KeyboardInterrupt


def crash() -> Any:
    """An interrupt is no failure: the run has crashed."""
    try:
        crashes()
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("the interrupt was swallowed")
    shown = summary(IDS[-1], 0)
    assert shown["states"][-1][:2] == ["CRASHED", "Crashed"]
    return shown


DONE: list[str] = []


@task
def write(x: str) -> str:
    DONE.append(f"write {x}")
    return x


@write.on_rollback
def unwrite(txn: Any) -> None:
    DONE.append("rolled back")


@write.on_commit
def written(txn: Any) -> None:
    DONE.append("committed")


@flow(name="conformance-transactions")
def transactional(fail: bool) -> None:
    with transaction():
        write("a")
        if fail:
            raise ValueError("after the write")


def transactions() -> Any:
    """Commit and rollback hooks of a transaction."""
    shown = []
    for fail in (False, True):
        DONE.clear()
        state = transactional(fail, return_state=True)
        assert ["write a", "rolled back" if fail else "committed"] == DONE, DONE
        shown.append(summary(run_id(state), 1))
    return shown


if __name__ == "__main__":
    main(task_retries, flow_retries, retry_condition, caches, timeouts, failures, crash, transactions)
