"""What the kernel stores of a real client's events is what Python Prefect 3.8.8 stored of the same ones.

`conformance/record_events.py` has recorded both: a flow with retries, failures, time-outs, caching, mapping, nesting.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import interval_from_text, timestamp_from_text
from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.flow_runs.tables import flow_run
from prefect_kernel_plugins.flows.tables import flow

from .support import TABLES, rows, send

DATA = Path(__file__).parents[3] / "conformance" / "data" / "events"
FRAMES = (DATA / "frames.jsonl").read_text(encoding="utf-8").splitlines()
REFERENCE: dict[str, list[dict[str, Any]]] = json.loads((DATA / "rows.json").read_text(encoding="utf-8"))


def in_chunks(frames: list[str], size: int) -> Iterable[list[str]]:
    """The frames, `size` at a time."""
    return (frames[at : at + size] for at in range(0, len(frames), size))


def add_flow_runs(kernel: KernelUnderTest) -> None:
    """Make the flow runs that the events belong to, with the ids that they had."""
    now = kernel.clock.now()
    empty: dict[str, Any] = {"tags": [], "labels": {}, "created": now, "updated": now}
    run: dict[str, Any] = {"parameters": {}, "empirical_policy": {}, "context": {}, "run_count": 0}
    run |= {"total_run_time": timedelta(0), "auto_scheduled": False}

    def unit() -> Unit[None]:
        for table, values in ((flow, empty), (flow_run, empty | run)):
            for one in REFERENCE[table.name]:
                given = values | one
                binds = {key: sa.bindparam(key, type_=table.c[key].type) for key in given}
                yield Statement(sa.insert(table).values(binds)).bind(given)

    kernel.run(kernel.kernel.storage.write(unit))


def comparable(table: str, found: list[dict[str, Any]], columns: Iterable[str]) -> list[str]:
    """Rows of a table as sorted text: times and durations alike, sets of tags sorted."""
    out = []
    for one in found:
        cells = {column: one[column] for column in columns}
        for column, cell in cells.items():
            type_ = type(TABLES[table].c[column].type).__name__
            if isinstance(cell, str) and type_ == "Timestamp":
                cells[column] = timestamp_from_text(cell)
            elif type_ == "Interval" and not isinstance(cell, timedelta):
                cells[column] = interval_from_text(cell)
            elif column == "tags":
                cells[column] = sorted(cell)  # the client sends a set
        out.append(json.dumps(cells, sort_keys=True, default=_text))
    return sorted(out)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def assert_recorded(kernel: KernelUnderTest, tables: Iterable[str]) -> None:
    """The tables hold what the reference's hold."""
    for table in tables:
        expected = REFERENCE[table]
        found = rows(kernel, table)
        assert comparable(table, expected, expected[0]) == comparable(table, found, expected[0]), table


@pytest.mark.parametrize("size", [1, 7, 500])
def test_rows_equal_the_references(kernel: KernelUnderTest, size: int) -> None:
    """Whatever the batches, every row and every column is the reference's, apart from when the server wrote it."""
    add_flow_runs(kernel)
    for chunk in in_chunks(FRAMES, size):
        send(kernel, *chunk)
    assert len(FRAMES) == len(REFERENCE["events"]) > 40
    assert_recorded(kernel, TABLES)


@pytest.mark.parametrize("seed", range(3))
def test_order_and_repetition_do_not_matter(kernel: KernelUnderTest, seed: int) -> None:
    """Events that come shuffled, in batches of any size, some of them twice, give the same events and states.

    And each task run has the state that it had last.
    """
    chance = random.Random(seed)
    frames = FRAMES + chance.sample(FRAMES, 20)
    chance.shuffle(frames)
    add_flow_runs(kernel)
    for chunk in in_chunks(frames, chance.randint(2, 15)):
        send(kernel, *chunk)
    assert_recorded(kernel, ["events", "event_resources", "task_run_state"])
    expected = {one["id"]: (one["state_id"], one["state_type"], one["state_name"]) for one in REFERENCE["task_run"]}
    found = {one["id"]: (one["state_id"], one["state_type"], one["state_name"]) for one in rows(kernel, "task_run")}
    assert expected == found
