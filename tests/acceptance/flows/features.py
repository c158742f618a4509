"""Flows that use what Prefect offers, checked by themselves through the client. Run with Prefect's own Python."""

import asyncio
import time
from datetime import timedelta
from uuid import uuid4

from prefect import flow, get_client, get_run_logger, suspend_flow_run, tags, task, transactions
from prefect.cache_policies import INPUTS
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, LogFilter, TaskRunFilter
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext
from prefect.flow_runs import pause_flow_run, resume_flow_run
from prefect.input import RunInput
from prefect.states import Cancelled

seen: list[str] = []


def ids_of(state) -> str:
    return str(state.state_details.flow_run_id)


# ------------------------------------------------------------------ tasks, map, subflows, names, tags, results, logs
@task(task_run_name="add-{a}-{b}", tags=["sum"])
def add(a: int, b: int) -> int:
    return a + b


@flow(flow_run_name="child-of-{n}")
def child(n: int) -> int:
    return add(n, 1)


@flow(name="parent", persist_result=True)
def parent() -> list[int]:
    get_run_logger().warning("a line for the log")
    mapped = add.map([1, 2, 3], b=10).result()
    with tags("inner"):
        return [*mapped, child(5)]


def check_basics(client) -> None:
    state = parent(return_state=True)
    assert state.result() == [11, 12, 13, 6]
    run = client.read_flow_run(ids_of(state))
    assert run.state_type == StateType.COMPLETED
    assert run.run_count == 1
    task_runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id])))
    for _ in range(50):
        if len(task_runs) == 4 and all(r.state_type == StateType.COMPLETED for r in task_runs):
            break
        time.sleep(0.2)
        task_runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id])))
    names = sorted(r.name for r in task_runs)
    assert [n for n in names if n.startswith("add-")] == ["add-1-10", "add-2-10", "add-3-10"], names
    children = client.read_flow_runs(flow_run_filter=FlowRunFilter(name={"any_": ["child-of-5"]}))
    [mine] = [c for c in children if c.parent_task_run_id in {r.id for r in task_runs}]
    assert mine.tags == ["inner"]
    for _ in range(50):
        logs = client.read_logs(LogFilter(flow_run_id={"any_": [run.id]}))
        if any("a line for the log" in log.message for log in logs):
            return
        time.sleep(0.2)
    raise AssertionError("the log line has not come")


# ------------------------------------------------------------------ retries, caching, timeouts, failures, hooks
calls = {"flaky": 0, "cached": 0, "flow": 0}


@task(retries=2, retry_delay_seconds=[0.1, 0.2], retry_jitter_factor=0.5)
def flaky() -> str:
    calls["flaky"] += 1
    if calls["flaky"] < 3:
        raise ValueError("not yet")
    return "done"


@task(cache_policy=INPUTS, persist_result=True)
def expensive(key: str) -> str:
    calls["cached"] += 1
    return key


@task(timeout_seconds=0.2)
def slow() -> None:
    time.sleep(3)


@flow(retries=1, retry_delay_seconds=0, on_completion=[lambda f, r, s: seen.append("completed")])
def retrying() -> str:
    calls["flow"] += 1
    if calls["flow"] == 1:
        raise RuntimeError("first time")
    return flaky()


@flow(on_failure=[lambda f, r, s: seen.append("failed")])
def failing() -> None:
    slow()


@flow
def cached(key: str) -> list[str]:
    return [expensive(key, return_state=True).name, expensive(key, return_state=True).name]


@flow(on_crashed=[lambda f, r, s: seen.append("crashed")])
def crashing() -> None:
    raise KeyboardInterrupt


def check_failures(client) -> None:
    state = retrying(return_state=True)
    assert state.result() == "done"
    assert client.read_flow_run(ids_of(state)).run_count == 2
    state = failing(return_state=True)
    assert state.is_failed()
    assert "completed" in seen
    assert "failed" in seen
    assert cached(uuid4().hex)[1] == "Cached"
    assert calls["cached"] == 1
    try:
        crashing()
    except BaseException as error:  # noqa: BLE001 - a crash comes back as what caused it
        assert isinstance(error, KeyboardInterrupt | BaseException)
    runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(state={"type": {"any_": ["CRASHED"]}}))
    assert runs
    assert "crashed" in seen


# ------------------------------------------------------------------ async, transactions, cancelling
@task
async def double(n: int) -> int:
    await asyncio.sleep(0.01)
    return 2 * n


@flow
async def asynchronous() -> list[int]:
    futures = [double.submit(n) for n in range(3)]
    return [future.result() for future in futures] + [await double(10)]


@task
def write(name: str) -> str:
    return name


@write.on_rollback
def undo(transaction) -> None:
    seen.append("rolled back")


@flow
def transactional() -> None:
    with transactions.transaction():
        write("x")
        raise RuntimeError("undo it")


@flow
def cancels_itself() -> Cancelled:
    return Cancelled(message="enough")


def check_others(client) -> None:
    assert asyncio.run(asynchronous()) == [0, 2, 4, 20]
    assert transactional(return_state=True).is_failed()
    assert "rolled back" in seen
    state = cancels_itself(return_state=True)
    assert client.read_flow_run(ids_of(state)).state_type == StateType.CANCELLED


# ------------------------------------------------------------------ pausing and suspending
class Approval(RunInput):
    approved: bool
    reason: str = "none"


@flow
def asks() -> str:
    answer = pause_flow_run(wait_for_input=Approval, timeout=60, poll_interval=1, key="ask")
    return f"{answer.approved} {answer.reason}"


@flow
def suspends() -> None:
    suspend_flow_run(timeout=60)


def check_pauses(client) -> None:
    import threading

    def answer() -> None:
        with get_client(sync_client=True) as own:
            for _ in range(200):
                paused = own.read_flow_runs(
                    flow_run_filter=FlowRunFilter(state={"type": {"any_": ["PAUSED"]}, "name": {"any_": ["Paused"]}})
                )
                if paused:
                    result = own.resume_flow_run(paused[0].id, run_input={"approved": "not a truth value"})
                    assert result.status.value == "REJECT", result
                    result = own.resume_flow_run(paused[0].id, run_input={"approved": True, "reason": "fine"})
                    assert result.status.value == "ACCEPT", result
                    return
                time.sleep(0.1)

    thread = threading.Thread(target=answer)
    thread.start()
    assert asks() == "True fine"
    thread.join()
    state = suspends(return_state=True)
    # A run without a deployment cannot be scheduled again, so the server refuses to suspend it.
    assert state.is_failed() or state.is_paused(), state


def main() -> None:
    with get_client(sync_client=True) as client:
        check_basics(client)
        check_failures(client)
        check_others(client)
        check_pauses(client)
        totals = client.read_task_runs(task_run_filter=TaskRunFilter(state={"type": {"any_": ["COMPLETED"]}}))
        assert len(totals) >= 8
    print("all is well", FlowRunContext.get() is None, timedelta(0), resume_flow_run is not None)


if __name__ == "__main__":
    main()
