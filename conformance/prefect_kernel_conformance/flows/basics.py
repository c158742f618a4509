"""Tasks, map, subflows, tags, names, parameters, logging, results, hooks, async flows."""

from __future__ import annotations

import asyncio
from typing import Any

from _summary import client, main, result_of, run_id, summary
from prefect import flow, get_run_logger, tags, task, unmapped

CALLED: list[str] = []


@task(task_run_name="add-{x}-{y}", tags=["sum"])
def add(x: int, y: int) -> int:
    get_run_logger().info("adding %s and %s", x, y)
    return x + y


@task
def double(x: int) -> int:
    return 2 * x


@flow(name="conformance-sums", flow_run_name="sums-of-{n}", version="v1", description="Adds.")
def sums(n: int, words: list[str]) -> int:
    get_run_logger().warning("summing up")
    total = 0
    with tags("inner"):
        for number in range(n):
            total = add(total, number)
    return total


def tasks_and_names() -> Any:
    """Tasks with names and tags made from arguments; parameters, logs and tags on the server."""
    with tags("outer"):
        state = sums(3, ["ä", "b"], return_state=True)
    assert state.result() == 3
    shown = summary(run_id(state), 3)
    assert shown["name"] == "sums-of-3"
    assert shown["tags"] == ["outer"]
    assert shown["parameters"] == {"n": 3, "words": ["ä", "b"]}
    assert [each["name"] for each in shown["tasks"]] == ["add-0-0", "add-0-1", "add-1-2"]
    assert all(each["tags"] == ["inner", "outer", "sum"] for each in shown["tasks"])
    assert [one[:2] for one in shown["states"]] == [
        ["PENDING", "Pending"],
        ["RUNNING", "Running"],
        ["COMPLETED", "Completed"],
    ]
    assert ["prefect.task_runs", 20, "adding 1 and 2"] in shown["logs"]
    assert ["prefect.flow_runs", 30, "summing up"] in shown["logs"]
    found = client()._client.get("/flows/name/conformance-sums").json()
    return {**shown, "flow": [found["name"], found["tags"]]}


@task
def scaled(x: int, factor: int) -> int:
    return x * factor


@flow(name="conformance-map")
def mapped() -> list[int]:
    first = double.submit(5)
    several = scaled.map([1, 2, 3], factor=unmapped(10), wait_for=[first])
    last = double.submit(several[2], wait_for=[several])
    return [*several.result(), last.result()]


def map_and_futures() -> Any:
    """`.map` and `.submit`, futures as arguments and to wait for."""
    state = mapped(return_state=True)
    assert state.result() == [10, 20, 30, 60]
    shown = summary(run_id(state), 5)
    assert sum(each["name"].startswith("scaled") for each in shown["tasks"]) == 3
    return shown


@flow(name="conformance-child", flow_run_name="child-of-{x}")
def child(x: int) -> int:
    return double(x)


@flow(name="conformance-parent")
def parent() -> int:
    return child(1) + child(2)


def subflows() -> Any:
    """Subflows are flow runs with a task run of their own in the parent."""
    state = parent(return_state=True)
    assert state.result() == 6
    shown = summary(run_id(state), 2)
    assert shown["subflows"] == 2
    assert all([one[0] for one in each["states"]][-1] == "COMPLETED" for each in shown["tasks"])
    return shown


def _noted(name: str) -> Any:
    def hook(thing: Any, run: Any, state: Any) -> None:
        CALLED.append(f"{name} {type(run).__name__} {state.type.value}")

    return hook


@task(on_completion=[_noted("task done")], on_failure=[_noted("task failed")])
def may_fail(fail: bool) -> str:
    if fail:
        raise ValueError("as told")
    return "fine"


@flow(
    name="conformance-hooks",
    on_running=[_noted("flow runs")],
    on_completion=[_noted("flow done")],
    on_failure=[_noted("flow failed")],
)
def hooked(fail: bool) -> None:
    may_fail(fail)


def hooks() -> Any:
    """Hooks are called with the run and its state."""
    shown = []
    for fail in (False, True):
        CALLED.clear()
        state = hooked(fail, return_state=True)
        shown.append([*CALLED, summary(run_id(state), 1)])
    assert [one for one in shown[0] if isinstance(one, str)] == [
        "flow runs FlowRun RUNNING", "task done TaskRun COMPLETED", "flow done FlowRun COMPLETED",
    ]  # fmt: skip
    assert [one for one in shown[1] if isinstance(one, str)] == [
        "flow runs FlowRun RUNNING", "task failed TaskRun FAILED", "flow failed FlowRun FAILED",
    ]  # fmt: skip
    return shown


@task
async def slow(x: int) -> int:
    await asyncio.sleep(0.05)
    return x


@flow(name="conformance-async")
async def concurrent() -> int:
    got = await asyncio.gather(*(slow(number) for number in range(3)))
    futures = slow.map([3, 4])
    return sum(got) + sum(future.result() for future in futures)


def async_flow() -> Any:
    """Async flows and tasks, at the same time."""
    state = asyncio.run(concurrent(return_state=True))
    assert result_of(state) == 10
    return summary(run_id(state), 5)


@task(persist_result=True, result_storage_key="conformance-{parameters[x]}")
def kept(x: int) -> dict[str, int]:
    return {"x": x}


@flow(name="conformance-results", persist_result=True)
def results() -> dict[str, int]:
    return kept(7)


def persisted_results() -> Any:
    """Persisted results are referred to by the state on the server and read back from there."""
    state = results(return_state=True)
    run = client().read_flow_run(run_id(state))
    assert run.state is not None
    assert result_of(run.state) == {"x": 7}
    shown = summary(run_id(state), 1)
    assert shown["states"][-1][4], "the last state refers to no result"
    return shown


if __name__ == "__main__":
    main(tasks_and_names, map_and_futures, subflows, hooks, async_flow, persisted_results)
