"""Task runners, cache policies, results, hooks, cancelling, flows from a folder. Run with Prefect's own Python."""

import threading
import time
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from prefect import flow, get_client, task, unmapped
from prefect.cache_policies import INPUTS, NO_CACHE, RUN_ID, TASK_SOURCE, CacheKeyFnPolicy
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
from prefect.client.schemas.objects import StateType
from prefect.futures import as_completed, wait
from prefect.locking.memory import MemoryLockManager
from prefect.states import Cancelled, Cancelling
from prefect.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner
from prefect.transactions import IsolationLevel, transaction

happened: list[str] = []


def until(found, what: str, seconds: float = 60):
    end = time.monotonic() + seconds
    while not (got := found()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return got


def task_states(client, state) -> dict[str, str]:
    """The task runs of a flow run, once they have all ended: they are recorded behind the scenes."""
    ours = FlowRunFilter(id={"any_": [state.state_details.flow_run_id]})

    def ended():
        runs = client.read_task_runs(flow_run_filter=ours)
        return (
            runs if runs and all(run.state_type.value in ("COMPLETED", "FAILED", "CRASHED") for run in runs) else None
        )

    return {run.name: run.state_name for run in until(ended, "the task runs have not ended")}


# ------------------------------------------------------------------------------------------------------ runners
@task(task_run_name="scale-{n}")
def scale(n: int, factor: int) -> int:
    return n * factor


@flow(task_runner=ThreadPoolTaskRunner(max_workers=3))
def with_threads() -> int:
    futures = scale.map([1, 2, 3], unmapped(10))
    done, not_done = wait(futures)
    assert not not_done
    assert sorted(future.result() for future in as_completed(list(done))) == [10, 20, 30]
    later = scale.submit(futures[0], 2, wait_for=futures)
    return later.result()


@flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
def with_processes() -> list[int]:
    return [future.result() for future in scale.map([4, 5], unmapped(2))]


def check_runners(client) -> None:
    state = with_threads(return_state=True)
    assert state.result() == 20
    assert set(task_states(client, state)) == {"scale-1", "scale-2", "scale-3", "scale-10"}
    state = with_processes(return_state=True)
    assert state.result() == [8, 10]
    until(lambda: len(task_states(client, state)) == 2, "tasks of other processes are missing")


# ------------------------------------------------------------------------------------------------------ caching
calls: dict[str, int] = {}


def counted(name: str) -> str:
    calls[name] = calls.get(name, 0) + 1
    return name


@task(cache_policy=INPUTS + TASK_SOURCE, persist_result=True, cache_expiration=timedelta(hours=1))
def by_inputs(key: str, ignored: int = 0) -> str:
    return counted("inputs")


@task(cache_policy=RUN_ID, persist_result=True)
def by_run(key: str) -> str:
    return counted("run")


@task(cache_policy=NO_CACHE)
def never(key: str) -> str:
    return counted("never")


@task(cache_key_fn=lambda context, parameters: parameters["key"], persist_result=True)
def by_function(key: str) -> str:
    return counted("function")


@task(
    cache_policy=CacheKeyFnPolicy(cache_key_fn=lambda context, parameters: parameters["key"]),
    refresh_cache=True,
    persist_result=True,
)
def refreshed(key: str) -> str:
    return counted("refreshed")


@task(cache_policy=INPUTS.configure(isolation_level=IsolationLevel.SERIALIZABLE, lock_manager=MemoryLockManager()))
def serialized(key: str) -> str:
    return counted("serialized")


@flow
def caches(key: str) -> None:
    for _ in range(2):
        by_inputs(key)
        by_run(key)
        never(key)
        by_function(key)
        refreshed(key)
    for _ in range(3):
        serialized(key)


def check_caching(client) -> None:
    key = uuid4().hex
    states = task_states(client, caches(key, return_state=True))
    assert calls == {"inputs": 1, "run": 1, "never": 2, "function": 1, "refreshed": 2, "serialized": 1}, calls
    assert list(states.values()).count("Cached") == 5, states
    caches(key)
    assert calls["inputs"] == 1
    assert calls["run"] == 2


# ------------------------------------------------------------------------------------------------------ hooks, results
@task(
    on_failure=[lambda task, run, state: happened.append(f"task {state.type.value}")],
    retries=1,
    retry_delay_seconds=0,
    retry_condition_fn=lambda task, run, state: happened.append("condition") or True,
)
def fails() -> None:
    raise ValueError("no")


@task(
    on_completion=[lambda task, run, state: happened.append("task done")],
    persist_result=True,
    result_storage_key="kept",
)
def keeps() -> dict[str, int]:
    return {"kept": 1}


@flow(
    on_running=[lambda flow, run, state: happened.append("running")],
    on_completion=[lambda flow, run, state: happened.append("completed")],
    persist_result=True,
)
def hooked() -> dict[str, int]:
    assert fails(return_state=True).is_failed()
    return keeps()


def check_hooks(client) -> None:
    state = hooked(return_state=True)
    assert happened == ["running", "condition", "task FAILED", "task done", "completed"], happened
    assert client.read_flow_run(state.state_details.flow_run_id).state.result() == {"kept": 1}
    assert "Failed" in task_states(client, state).values()


# ------------------------------------------------------------------------------------------------------ cancelling
@flow(on_cancellation=[lambda flow, run, state: happened.append("cancelled")])
def endless() -> None:
    for n in range(600):
        scale(n, 1)
        time.sleep(0.1)


def check_cancelling(client) -> None:
    """A local run that is cancelled on the server: its next task may not start, and it ends."""
    states: list = []
    thread = threading.Thread(target=lambda: states.append(endless(return_state=True)))
    thread.start()
    ours = FlowRunFilter(state={"type": {"any_": ["RUNNING"]}})
    [run] = until(lambda: [r for r in client.read_flow_runs(flow_run_filter=ours) if r.name], "no run is running")
    assert client.set_flow_run_state(run.id, Cancelling()).status.value == "ACCEPT"
    assert client.set_flow_run_state(run.id, Cancelled()).status.value == "ACCEPT"
    assert client.read_flow_run(run.id).state_type == StateType.CANCELLED
    # Nothing tells a local run of it before it ends; a cancelled run stays so.
    assert client.set_flow_run_state(run.id, Cancelling()).status.value in ("ABORT", "REJECT")


# ------------------------------------------------------------------------------------------------------ from a folder
SOURCE = """
from prefect import flow

@flow(name="from-a-folder", log_prints=True)
def fetched(word: str) -> str:
    print("said", word)
    return word.upper()
"""


def check_source(client) -> None:
    Path("fetched_flow.py").write_text(SOURCE)
    fetched = flow.from_source(source=str(Path.cwd()), entrypoint="fetched_flow.py:fetched")
    assert fetched("hello") == "HELLO"
    assert client.read_flow_by_name("from-a-folder").name == "from-a-folder"


# ------------------------------------------------------------------------------------------------------ transactions
@task
def writes(name: str) -> str:
    return name


@writes.on_rollback
def unwrite(txn) -> None:
    happened.append("rolled back")


@writes.on_commit
def written(txn) -> None:
    happened.append("committed")


@flow
def transacts(fail: bool) -> None:
    with transaction(key=f"acceptance-{uuid4()}") as outer:
        outer.set("step", 1)
        writes("a")
        with transaction():
            writes("b")
        if fail:
            raise RuntimeError("undo")


def check_transactions(client) -> None:
    happened.clear()
    assert transacts(False, return_state=True).is_completed()
    assert happened == ["committed", "committed"], happened
    happened.clear()
    assert transacts(True, return_state=True).is_failed()
    assert happened.count("rolled back") == 2, happened


def main() -> None:
    with get_client(sync_client=True) as client:
        check_runners(client)
        check_caching(client)
        check_hooks(client)
        check_source(client)
        check_transactions(client)
        check_cancelling(client)
        assert client.read_task_runs(task_run_filter=TaskRunFilter(state={"type": {"any_": ["FAILED"]}}))
    print("all is well", flush=True)
    import os

    os._exit(0)  # the cancelled run goes on in its thread, as nothing tells a local one


if __name__ == "__main__":
    main()
