"""Histories count every run once, where it belongs, whatever has happened to it."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.flow_runs.tables import flow_run

from .data import BEGIN, Row, Rows, insert, make
from .model import Model
from .requests import Requests

EVERYTHING = {"flow_runs": {"name": {"any_": None}}}
"""A filter that lets everything through; with it runs are counted one by one, without it by tallies."""


def history(kernel: KernelUnderTest, kind: str, body: Row) -> Any:
    """The answer to a request that is in order."""
    answer = kernel.client.post(f"/{kind}/history", json=body)
    assert answer.status == 200, answer.text
    return answer.json()


def span(start: datetime, hours: float, seconds: float) -> Row:
    """The part of a request that says which intervals."""
    return {
        "history_start": start.isoformat(),
        "history_end": (start + timedelta(hours=hours)).isoformat(),
        "history_interval_seconds": seconds,
    }


def both_ways(kernel: KernelUnderTest, body: Row) -> Any:
    """The history of all flow runs, which must be the same when each is counted."""
    tallied = history(kernel, "flow_runs", body)
    assert tallied == history(kernel, "flow_runs", {**body, **EVERYTHING})
    return tallied


def test_runs_are_counted_by_state_in_their_interval(kernel: KernelUnderTest, rows: Rows) -> None:
    """With random filters, the counts are those of the rows that a plain model finds."""
    for kind in ("flow_runs", "task_runs"):
        requests, model = Requests(3, rows), Model(rows)
        for _ in range(40):
            filters = requests.filters_of(kind)
            if "work_pool_queues" in filters:
                filters["work_queues"] = filters.pop("work_pool_queues")
            start = BEGIN + timedelta(seconds=requests.random.randrange(90_000), milliseconds=5)
            seconds = requests.random.choice([3600, 7201.5, 86400])
            found = history(kernel, kind, {**span(start, 70, seconds), **filters})
            expected: Counter[Any] = Counter()
            if "work_queues" in filters:
                filters["work_pool_queues"] = filters.pop("work_queues")
            for row in model.found(kind, filters):
                number = (row["expected_start_time"] - start) // timedelta(seconds=seconds)
                if 0 <= number < len(found):
                    expected[number, row["state_type"], row["state_name"]] += 1
            counted = {
                (i, state["state_type"], state["state_name"]): state["count_runs"]
                for i, interval in enumerate(found)
                for state in interval["states"]
            }
            assert counted == expected


def test_tallies_follow_every_change(kernel: KernelUnderTest) -> None:
    """After inserts, updates and deletes of many runs at many times, tallies say what counting says."""
    rows = make(5, runs=300)
    now = kernel.clock.set(BEGIN + timedelta(days=5, minutes=3, milliseconds=250))
    for row in rows["flow_run"]:
        row["state_timestamp"] = min(row["state_timestamp"], now)  # nothing has happened yet that lies ahead
    insert(kernel, rows)
    rng = random.Random(2)
    c = flow_run.c
    binds = {name: sa.bindparam(f"new_{name}", type_=c[name].type) for name in ("expected_start_time", "state_type")}
    here = c.id == sa.bindparam("run", type_=c.id.type)
    change, delete = (
        Statement(sa.update(flow_run).values(binds).where(here)),
        Statement(sa.delete(flow_run).where(here)),
    )

    def unit() -> Unit[None]:
        for row in rng.sample(rows["flow_run"], 40):
            moved = row["expected_start_time"] + timedelta(minutes=rng.randrange(-200, 200))
            state = rng.choice(["COMPLETED", "RUNNING", "SCHEDULED"])
            yield change.bind({"run": row["id"], "new_expected_start_time": moved, "new_state_type": state})
        for row in rng.sample(rows["flow_run"], 5):
            yield delete.bind({"run": row["id"]})

    sizes = set()
    for _ in range(4):
        for start, hours, seconds in ((BEGIN, 150, 21600), (BEGIN + timedelta(seconds=77.5), 100, 4000.25)):
            counted = both_ways(kernel, span(start, hours, seconds))
            sizes.add(sum(state["count_runs"] for interval in counted for state in interval["states"]))
        kernel.run(kernel.kernel.storage.write(unit))
        kernel.clock.advance(minutes=7, milliseconds=123)
    assert max(sizes) > 250
    assert len(sizes) > 4


def test_what_goes_on_rolls_with_the_time(kernel: KernelUnderTest) -> None:
    """Running time and lateness grow between two requests, without a write."""
    run = kernel.flow_run(state={"type": "SCHEDULED"})
    kernel.flow_run(flow_id=run["flow_id"], state={"type": "SCHEDULED"})
    kernel.propose(run, "Running")
    body = span(kernel.clock.now() - timedelta(hours=3), 8, 36000)
    for _ in range(2):
        kernel.clock.advance(hours=1)
        (interval,) = both_ways(kernel, body)
        sums = {
            state["state_type"]: (state["sum_estimated_run_time"], state["sum_estimated_lateness"])
            for state in interval["states"]
        }
    assert sums == {"RUNNING": pytest.approx((7200, 0), abs=0.001), "SCHEDULED": (0.0, 7200.0)}


def test_intervals(kernel: KernelUnderTest) -> None:
    """Five hundred at most, the last may go beyond the end; none when the end is not after the start."""
    start = kernel.clock.now()
    assert len(history(kernel, "flow_runs", span(start, 1000, 3600))) == 500
    last = history(kernel, "task_runs", span(start, 2.5, 3600))[-1]
    assert (last["interval_start"], last["interval_end"]) == ("2030-01-01T14:00:00Z", "2030-01-01T15:00:00Z")
    assert history(kernel, "flow_runs", span(start, -1, 3600)) == []
    refused = kernel.client.post("/flow_runs/history", json=span(start, 1, 0.999))
    assert (refused.status, refused.json()) == (422, {"detail": "History interval must not be less than 1 second."})
    assert kernel.client.post("/flow_runs/history", json=span(start, 1, 1e300)).status == 422


def test_lateness_is_an_average(kernel: KernelUnderTest) -> None:
    """Null without runs; else the mean over the runs that match, of those on time too."""
    assert kernel.client.post("/flow_runs/lateness", json={}).json() is None
    run = kernel.flow_run(state={"type": "SCHEDULED"}, tags=["late"])
    kernel.clock.advance(seconds=30)
    assert kernel.client.post("/flow_runs/lateness", json={}).json() == 30.0
    kernel.propose(run, "Running")
    kernel.flow_run(flow_id=run["flow_id"])
    assert kernel.client.post("/flow_runs/lateness", json={}).json() == 15.0
    body = {"flow_runs": {"tags": {"any_": ["late"]}}}
    assert kernel.client.post("/flow_runs/lateness", json=body).json() == 30.0
