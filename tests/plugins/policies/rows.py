"""Rows for tests that need a database, and looking at what became of them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement
from prefect_kernel_plugins.concurrency_limits.tables import concurrency_limit
from prefect_kernel_plugins.concurrency_limits_v2.tables import concurrency_limit_v2
from prefect_kernel_plugins.flow_runs.tables import flow_run
from prefect_kernel_plugins.flows.tables import flow
from prefect_kernel_plugins.task_runs.tables import task_run

from .support import NOW, FakeKernel


def _insert(table: sa.Table, values: dict[str, Any]) -> Generator[Any, Any, None]:
    binds = {name: sa.bindparam(name, type_=table.c[name].type) for name in values}
    yield Statement(sa.insert(table).values(binds)).bind(values)


async def insert(kernel: FakeKernel, table: sa.Table, **values: Any) -> str:
    """A row with these values, made at NOW; its id."""
    row = {"id": uuid4(), "created": NOW, "updated": NOW, **values}
    await kernel.storage.write(_insert, table, row)
    return str(row["id"])


async def limit(kernel: FakeKernel, name: str, size: int, **values: Any) -> str:
    """A limit by name."""
    row: dict[str, Any] = {"active": True, "active_slots": 0, "denied_slots": 0, "slot_decay_per_second": 0.0}
    return await insert(
        kernel, concurrency_limit_v2, **row | {"avg_slot_occupancy_seconds": 2.0, "name": name, "limit": size} | values
    )


async def old_limit(kernel: FakeKernel, tag: str, size: int, *holders: str) -> str:
    """A limit by tag, of the first version."""
    return await insert(kernel, concurrency_limit, tag=tag, concurrency_limit=size, active_slots=list(holders))


async def flow_run_row(kernel: FakeKernel, **values: Any) -> str:
    """A flow run without a state, with a flow of its own."""
    flow_id = await insert(kernel, flow, name=uuid4(), tags=["of-flow"])
    empty: dict[str, Any] = {"parameters": {}, "context": {}, "empirical_policy": {}, "tags": [], "run_count": 0}
    return await insert(kernel, flow_run, name="swift-otter", flow_id=flow_id, auto_scheduled=False, **empty | values)


async def task_run_row(kernel: FakeKernel, **values: Any) -> str:
    """A task run without a state."""
    row: dict[str, Any] = {"name": "add-0", "task_key": "add", "dynamic_key": uuid4(), "empirical_policy": {}}
    row |= {"task_inputs": {}, "tags": [], "run_count": 0, "flow_run_run_count": 0}
    return await insert(kernel, task_run, **row | values)


def _select(statement: Statement) -> Generator[Any, Any, list[Any]]:
    return (yield statement())


async def rows(kernel: FakeKernel, table: sa.Table, *order_by: Any) -> list[dict[str, Any]]:
    """All rows of a table."""
    found = await kernel.storage.read(_select, Statement(sa.select(table).order_by(*order_by)))
    return [dict(zip(table.c.keys(), row, strict=True)) for row in found]


async def row(kernel: FakeKernel, table: sa.Table, id: str) -> dict[str, Any]:
    """One row of a table."""
    (found,) = [one for one in await rows(kernel, table) if one["id"] == id]
    return found
