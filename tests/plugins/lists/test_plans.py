"""Hot lists and counts are answered from indexes: no scan of all runs, no sort of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.flow_runs import reads as flow_run_reads
from prefect_kernel_plugins.flow_runs.filters import FLOW_RUNS
from prefect_kernel_plugins.flows import reads as flow_reads
from prefect_kernel_plugins.flows.filters import FLOWS
from prefect_kernel_plugins.task_runs import reads as task_run_reads
from prefect_kernel_plugins.task_runs.filters import TASK_RUNS

from .data import Row, insert, make

ONE = "00000000-0000-4000-8000-000000000000"
NEWEST, EXPECTED = "START_TIME_DESC", "EXPECTED_START_TIME_DESC"


def states(*types: str) -> Row:
    """Runs in these states."""
    return {"flow_runs": {"state": {"type": {"any_": list(types)}}}}


LISTS: dict[str, tuple[str, Row]] = {
    "newest": (NEWEST, {}),
    "by id": ("ID_DESC", {}),
    "by name": ("NAME_ASC", {}),
    "last ended": ("END_TIME_DESC", {}),
    "started in a day": (
        NEWEST,
        {"flow_runs": {"start_time": {"after_": "2029-12-30T00:00:00Z", "before_": "2029-12-31T00:00:00Z"}}},
    ),
    "in one state": (EXPECTED, states("FAILED")),
    "in two states": (EXPECTED, states("FAILED", "CRASHED")),
    "newest in three states": (NEWEST, states("FAILED", "CRASHED", "RUNNING")),
    "of a deployment": (NEWEST, {"flow_runs": {"deployment_id": {"any_": [ONE]}}}),
    "of a deployment, by its filter": (NEWEST, {"deployments": {"id": {"any_": [ONE]}}}),
    "that are no subflows": (NEWEST, {"flow_runs": {"parent_task_run_id": {"is_null_": True}}}),
    "of a flow": (NEWEST, {"flows": {"id": {"any_": [ONE]}}}),
}


def plan(kernel: KernelUnderTest, statement: Statement, params: dict[str, Any]) -> str:
    """How the database would find the rows of a statement."""
    storage = kernel.kernel.storage
    sqlite = storage.dialect == "sqlite"
    compiled = statement.compiled(storage.dialect)

    class Explained:
        text, returns_rows = f"EXPLAIN {'QUERY PLAN ' if sqlite else ''}{compiled.text}", True
        arguments, width = compiled.arguments, compiled.width

        @staticmethod
        def rows(found: Any) -> list[Any]:
            return list(found)

    class Question:
        raw = True

        def compiled(self, dialect: str) -> Any:
            assert dialect
            return Explained

    def unit() -> Unit[str]:
        if not sqlite:
            yield Statement(sa.text("ANALYZE flow_run"))()
            yield Statement(sa.text("ANALYZE task_run"))()
        question: Any = statement.bind(params)
        question.statement = Question()
        found = yield question
        return "\n".join(str(line[-1]) for line in found)

    return kernel.run(storage.write(unit))


@pytest.fixture
def full(kernel: KernelUnderTest) -> KernelUnderTest:
    """A kernel with so many runs that an index pays."""
    insert(kernel, make(9, runs=3000))
    return kernel


def test_lists_of_flow_runs(full: KernelUnderTest) -> None:
    """A page is found by walking an index in its order; nothing is sorted but the page itself."""
    for name, (sort, filters) in LISTS.items():
        params: dict[str, Any] = {"limit": 10, "offset": 0}
        shape = FLOW_RUNS.take(flow_run_reads.FlowRunList.type.model_validate(filters), params)
        found = plan(full, flow_run_reads.page(shape, sort), params)
        if full.kernel.storage.dialect == "sqlite":
            assert "TEMP B-TREE" not in found, (name, found)
            scans = re.findall(r"^SCAN flow_run(?! USING (?:COVERING )?INDEX).*", found, re.MULTILINE)
            assert not scans, (name, found)
        else:
            assert not re.search(r"Seq Scan on flow_run\b(?!_)", found), (name, found)


def test_counts_of_flow_runs(full: KernelUnderTest) -> None:
    """Counts read an index alone on SQLite, and an index when a few states are asked for on PostgreSQL."""
    for filters in ({}, states("FAILED")):
        params: dict[str, Any] = {}
        shape = FLOW_RUNS.take(flow_run_reads.FlowRunCount.type.model_validate(filters), params)
        found = plan(full, flow_run_reads.count(shape), params)
        if full.kernel.storage.dialect == "sqlite":
            assert "USING COVERING INDEX" in found, found
        elif filters:
            assert not re.search(r"Seq Scan on flow_run\b(?!_)", found), found


RELATED: dict[str, Row] = {
    "of a pool": {"work_pools": {"name": {"any_": ["pool"]}}},
    "of a queue": {"work_pool_queues": {"name": {"any_": ["queue"]}}},
    "of deployments": {"deployments": {"name": {"like_": "d"}}},
    "of a pool in a day": {
        "work_pools": {"name": {"any_": ["pool"]}},
        "flow_runs": {"expected_start_time": {"after_": "2029-12-30T00:00:00Z", "before_": "2029-12-31T00:00:00Z"}},
    },
}


def test_counts_by_what_is_related(full: KernelUnderTest) -> None:
    """What rows belong to is found once, not for each row; on SQLite rows within times are found by these."""
    sqlite = full.kernel.storage.dialect == "sqlite"
    for_each_row = "CORRELATED" if sqlite else r"Filter:.*(?<!hashed )SubPlan"
    for name, filters in RELATED.items():
        params: dict[str, Any] = {}
        shape = FLOW_RUNS.take(flow_run_reads.FlowRunCount.type.model_validate(filters), params)
        found = plan(full, flow_run_reads.count(shape), params)
        assert not re.search(for_each_row, found), (name, found)
        if sqlite:
            assert ("expected_start_time>" in found) == ("flow_runs" in filters), (name, found)
    params = {}
    body = task_run_reads.TaskRunCount.type.model_validate({"flow_runs": RELATED["of a pool in a day"]["flow_runs"]})
    found = plan(full, task_run_reads.count(TASK_RUNS.take(body, params)), params)
    assert not re.search(for_each_row, found), found
    if sqlite:
        assert re.search(r"SEARCH task_run USING .*INDEX .*\(flow_run_id=\?", found), found


def test_flows_by_their_runs(full: KernelUnderTest) -> None:
    """SQLite looks, flow by flow, for a run of a time; runs in a state are found first."""
    if full.kernel.storage.dialect != "sqlite":
        return
    day: Row = {"start_time": {"after_": "2029-12-30T00:00:00Z"}}
    failed: Row = states("FAILED")["flow_runs"]
    for runs, by_flow in ((day, True), (day | failed, False), (failed, False)):
        params: dict[str, Any] = {"limit": 10, "offset": 0}
        body = flow_reads.FlowList.type.model_validate({"flow_runs": runs})
        found = plan(full, flow_reads.page(FLOWS.take(body, params), "UPDATED_DESC"), params)
        assert ("kernel_ix_flow_run__flow_id_start (flow_id=? AND <expr>" in found) == by_flow, found


def test_task_runs_of_a_flow_run(full: KernelUnderTest) -> None:
    """The task runs of one flow run are found by the foreign key's index."""
    params: dict[str, Any] = {"limit": 10, "offset": 0}
    body = task_run_reads.TaskRunList.type.model_validate({"flow_runs": {"id": {"any_": [ONE]}}})
    shape = TASK_RUNS.take(body, params)
    found = plan(full, task_run_reads.page(shape, "EXPECTED_START_TIME_ASC", False), params)
    assert re.search(r"(ix|uq)_task_run__flow_run_id", found), found


def test_one_statement_per_shape(kernel: KernelUnderTest) -> None:
    """Requests that differ in values alone share a compiled statement; another operator makes another one."""
    assert kernel.client.post("/flow_runs/filter", json={}).status == 200

    def statement(filters: Row) -> Statement:
        return flow_run_reads.page(FLOW_RUNS.take(flow_run_reads.FlowRunList.type.model_validate(filters), {}), NEWEST)

    first = statement({"flow_runs": {"name": {"any_": ["a", "b"]}}})
    assert statement({"flow_runs": {"name": {"any_": ["c", "d", "e"]}}}) is first
    assert statement({"flow_runs": {"name": {"like_": "a"}}}) is not first
