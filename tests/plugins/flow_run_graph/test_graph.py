"""Graphs of flow runs, and their logs as a file."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

from prefect_kernel.ids import uuid4
from prefect_kernel.testing import KernelUnderTest, MakeKernel


def flow_run(kernel: KernelUnderTest, **more: Any) -> str:
    """A flow run; gives its id."""
    flow = kernel.client.post("/flows/", json={"name": "f"}).json()
    id: str = kernel.client.post("/flow_runs/", json={"flow_id": flow["id"], "name": "r", **more}).json()["id"]
    return id


def task_run(kernel: KernelUnderTest, run: str, name: str, state: str = "COMPLETED", **inputs: list[str]) -> str:
    """A task run that takes the results of others (`x=[id]`); gives its id."""
    given = {key: [{"input_type": "task_run", "id": id} for id in ids] for key, ids in inputs.items()}
    body = {"flow_run_id": run, "task_key": name, "dynamic_key": "0", "name": name, "task_inputs": given}
    id: str = kernel.client.post("/task_runs/", json=body).json()["id"]
    for type_ in dict.fromkeys(("RUNNING", state)):
        kernel.clock.advance(seconds=1)
        proposal = {"state": {"type": type_}, "force": True}
        assert kernel.client.post(f"/task_runs/{id}/set_state", json=proposal).status == 201
    return id


def graph(kernel: KernelUnderTest, run: str, **query: str) -> Any:
    """The second version's graph."""
    answer = kernel.client.get(f"/flow_runs/{run}/graph-v2", params=query)
    assert answer.status == 200, answer.text
    return answer.json()


def neighbours(node: dict[str, Any], key: str) -> list[str]:
    """The ids of a node's neighbours."""
    return [edge["id"] for edge in node[key]]


def test_edges(kernel: KernelUnderTest) -> None:
    """A takes nothing, B takes A, C takes both; D is called within A."""
    run = flow_run(kernel)
    a = task_run(kernel, run, "a")
    b = task_run(kernel, run, "b", x=[a])
    c = task_run(kernel, run, "c", "RUNNING", x=[a], y=[b])
    d = task_run(kernel, run, "d", __parents__=[a])
    found = graph(kernel, run)
    nodes = dict(found["nodes"])
    assert list(nodes) == [a, b, c, d]
    assert found["root_node_ids"] == [a, d]
    assert [nodes[id]["label"] for id in nodes] == ["a", "b", "c", "d"]
    assert neighbours(nodes[b], "parents") == [a]
    assert sorted(neighbours(nodes[c], "parents")) == sorted([a, b])
    assert sorted(set(neighbours(nodes[a], "children"))) == sorted({b, c})
    assert neighbours(nodes[d], "encapsulating") == [a]
    assert nodes[c]["end_time"] is None
    after_a = (kernel.clock.now() - timedelta(seconds=4)).isoformat()
    assert a not in dict(graph(kernel, run, since=after_a)["nodes"])
    first = {node["name"]: node for node in kernel.client.get(f"/flow_runs/{run}/graph").json()}
    assert {edge["id"] for edge in first["c"]["upstream_dependencies"]} == {a, b}
    assert (first["c"]["state"]["type"], first["c"]["untrackable_result"]) == ("RUNNING", False)


def test_a_subflow_stands_in_for_its_task_run(kernel: KernelUnderTest) -> None:
    """The node is the flow run, under the name of its flow."""
    run = flow_run(kernel)
    stands = task_run(kernel, run, "sub", "RUNNING")
    sub = flow_run(kernel, parent_task_run_id=stands)
    ((id, node),) = graph(kernel, run)["nodes"]
    assert (id, node["kind"], node["label"]) == (sub, "flow-run", "f / r")


def test_artifacts_of_the_run_and_of_its_tasks(kernel: KernelUnderTest) -> None:
    """Results are not shown; data is of progress only; the latest of a key is told from older ones."""
    run = flow_run(kernel)
    task = task_run(kernel, run, "a")
    for body in (
        {"type": "table", "key": "k", "task_run_id": task}, {"type": "progress", "data": 5.5},
        {"type": "markdown", "key": "k", "data": "x"}, {"type": "result", "data": 1},
    ):  # fmt: skip
        kernel.client.post("/artifacts/", json={"flow_run_id": run, **body})
        kernel.clock.advance(seconds=1)
    found = graph(kernel, run)
    assert [(one["type"], one["data"], one["is_latest"]) for one in found["artifacts"]] == [
        ("progress", 5.5, True),
        ("markdown", None, True),
    ]
    ((_, node),) = found["nodes"]
    assert [(one["key"], one["is_latest"]) for one in node["artifacts"]] == [("k", False)]


def test_what_is_too_large(make_kernel: MakeKernel, database_url: str) -> None:
    """A graph of more nodes than the setting allows is refused."""
    kernel = make_kernel(storage=database_url, settings={"PREFECT_API_MAX_FLOW_RUN_GRAPH_NODES": "2"})
    run = flow_run(kernel)
    for name in "ab":
        task_run(kernel, run, name)
    assert len(graph(kernel, run)["nodes"]) == 2
    task_run(kernel, run, "c")
    refused = kernel.client.get(f"/flow_runs/{run}/graph-v2")
    assert (refused.status, refused.json()) == (
        400,
        {"detail": f"The graph of flow run {run} has more than 2 nodes."},
    )


def test_no_such_run(kernel: KernelUnderTest) -> None:
    """Runs that are not there, and times that are none."""
    for tail in ("graph", "graph-v2", "logs/download"):
        assert kernel.client.get(f"/flow_runs/{uuid4()}/{tail}").status == 404
    run = flow_run(kernel)
    for since in ("x", "2030-01-01T00:00:00", "0001-01-01T00:00:00+14:00"):
        assert kernel.client.get(f"/flow_runs/{run}/graph-v2", params={"since": since}).status == 422


def test_logs_as_a_file(kernel: KernelUnderTest) -> None:
    """All lines, more than a page of them and many of one moment, each once and in the order of time."""
    run = flow_run(kernel)
    now = kernel.clock.now()
    lines: list[dict[str, Any]] = [
        {
            "name": "n", "level": 20, "message": f'line "{n}",\nü', "flow_run_id": run,
            "timestamp": (now + timedelta(seconds=n // 700)).isoformat(),
        }
        for n in range(2500)
    ]  # fmt: skip
    kernel.client.post("/logs/", json=lines)
    answer = kernel.client.get(f"/flow_runs/{run}/logs/download")
    head, *found = csv.reader(io.StringIO(answer.text, newline=""))
    assert head == ["timestamp", "level", "flow_run_id", "task_run_id", "message"]
    assert sorted(row[4] for row in found) == sorted(line["message"] for line in lines)
    assert [row[0] for row in found] == sorted(row[0] for row in found)
    assert found[0][:4] == [str(now), "20", run, ""]
