"""Making events, sending them past any socket, and reading back what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.events.received import from_frame
from prefect_kernel_plugins.events.sink import SINK
from prefect_kernel_plugins.events.tables import event_resources, events
from prefect_kernel_plugins.task_runs.tables import task_run, task_run_state

TABLES = {table.name: table for table in (events, event_resources, task_run, task_run_state)}


def event(kernel: KernelUnderTest, name: str = "test.happened", **fields: Any) -> dict[str, Any]:
    """An event that happens now, by the kernel's clock."""
    return {
        "id": uuid4(),
        "occurred": kernel.clock.now().isoformat(),
        "event": name,
        "resource": {"prefect.resource.id": "test.thing.1", "prefect.resource.name": "thing"},
        "related": [],
        "payload": {},
        **fields,
    }


def task_event(
    kernel: KernelUnderTest,
    state: str,
    *,
    run: str,
    flow_run: str | None,
    after: float = 0.0,
    key: str = "hello-1",
    dynamic: str = "0",
    fields: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """What a client tells when a task run enters a state, `after` seconds from now."""
    related = [{"prefect.resource.id": f"prefect.flow-run.{flow_run}", "prefect.resource.role": "flow-run"}]
    return event(
        kernel,
        f"prefect.task-run.{state.title()}",
        occurred=(kernel.clock.now() + timedelta(seconds=after)).isoformat(),
        resource={"prefect.resource.id": f"prefect.task-run.{run}", "prefect.orchestration": "client"},
        related=related if flow_run else [],
        payload={
            "intended": {"from": None, "to": state},
            "initial_state": None,
            "validated_state": {"type": state, "name": state.title(), "message": "", "state_details": {}, "data": None},
            "task_run": {"name": f"hello-{dynamic}", "task_key": key, "dynamic_key": dynamic, **(fields or {})},
        },
        **more,
    )


def send(kernel: KernelUnderTest, *sent: dict[str, Any] | str) -> None:
    """Hand events to the sink as one batch, and wait until they are committed."""
    now = kernel.clock.now()
    frames = [one if isinstance(one, str) else json.dumps(one) for one in sent]
    received = [found for found in (from_frame(frame, now) for frame in frames) if found is not None]

    sink = kernel.kernel.stash[SINK]

    async def handed() -> None:
        committed = await sink.put(received)
        sink.hurry()
        await committed

    kernel.run(handed())


def rows(kernel: KernelUnderTest, name: str) -> list[dict[str, Any]]:
    """All rows of a table, with canonical values."""
    table = TABLES[name]

    def unit() -> Unit[list[Any]]:
        found: list[Any] = yield Statement(sa.select(table))()
        return found

    keys = [column.name for column in table.columns]
    return [dict(zip(keys, row, strict=True)) for row in kernel.run(kernel.kernel.storage.read(unit))]


def row(kernel: KernelUnderTest, name: str, id: str) -> dict[str, Any]:
    """The row with that id."""
    (found,) = [one for one in rows(kernel, name) if one["id"] == id]
    return found


def names(found: Iterable[dict[str, Any]]) -> list[str]:
    """The names of events, in order."""
    return [one["event"] for one in found]
