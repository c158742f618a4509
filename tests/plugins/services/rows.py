"""Deployments with schedules, written straight into the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.deployments.tables import deployment, deployment_schedule
from prefect_kernel_plugins.flow_runs.tables import flow_run

_DEPLOYMENT = {c.name: sa.bindparam(c.name, type_=c.type) for c in deployment.columns}
_SCHEDULE = {c.name: sa.bindparam(c.name, type_=c.type) for c in deployment_schedule.columns}
_INSERT = Statement(sa.insert(deployment).values(_DEPLOYMENT))
_INSERT_SCHEDULE = Statement(sa.insert(deployment_schedule).values(_SCHEDULE))
_RUNS = Statement(sa.select(*flow_run.columns).order_by(flow_run.c.deployment_id, flow_run.c.next_scheduled_start_time))
RUN_KEYS = [column.name for column in flow_run.columns]


def one(statement: Statement, params: dict[str, Any]) -> Unit[Any]:
    """A single statement."""
    return (yield statement.bind(params))


def write(kernel: KernelUnderTest, expression: Any, **params: Any) -> Any:
    """Run a Core expression that writes."""
    return kernel.run(kernel.kernel.storage.write(one, Statement(expression), params))


def read(kernel: KernelUnderTest, expression: Any, **params: Any) -> list[Any]:
    """The rows of a Core expression."""
    rows: list[Any] = kernel.run(kernel.kernel.storage.read(one, Statement(expression), params))
    return rows


def runs(kernel: KernelUnderTest) -> list[dict[str, Any]]:
    """All flow runs, by deployment and time."""
    return [dict(zip(RUN_KEYS, row, strict=True)) for row in read(kernel, _RUNS.expression("sqlite"))]


def deploy(
    kernel: KernelUnderTest, schedules: Sequence[dict[str, Any]], *, now: datetime | None = None, **fields: Any
) -> dict[str, Any]:
    """A deployment of a flow of its own; schedules are stored ones, or rows that have one as `schedule`."""
    now = now or kernel.clock.now()
    id = fields.pop("id", None) or uuid4()
    flow = kernel.client.post("/flows/", json={"name": f"flow {id}"}).json()
    row = {
        **dict.fromkeys(_DEPLOYMENT),
        "id": id,
        "created": now,
        "updated": now,
        "name": f"deployment {id}",
        "tags": [],
        "parameters": {},
        "flow_id": flow["id"],
        "infra_overrides": {},
        "enforce_parameter_schema": False,
        "paused": False,
        "status": "NOT_READY",
        "labels": {},
        **fields,
    }
    rows = [
        {
            **dict.fromkeys(_SCHEDULE),
            "id": uuid4(),
            "created": now,
            "updated": now,
            "active": True,
            "deployment_id": id,
            "parameters": {},
            **(schedule if "schedule" in schedule else {"schedule": schedule}),
        }
        for schedule in schedules
    ]

    def unit() -> Unit[None]:
        yield _INSERT.bind(row)
        yield _INSERT_SCHEDULE.many(rows)

    kernel.run(kernel.kernel.storage.write(unit))
    return {**row, "schedules": rows}
