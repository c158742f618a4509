"""What services look for is found by an index, also in a database without statistics, and with many old runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_kernel.ids import uuid7
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.flow_runs.tables import flow_run
from prefect_kernel_plugins.services.cancellation import CANCELLING, SUBFLOWS
from prefect_kernel_plugins.services.late_runs import DUE
from prefect_kernel_plugins.services.paging import NO_ID
from prefect_kernel_plugins.stuck_runs.claims import OVERDUE

RUNS = 3000

_COLUMNS = {column.name: sa.bindparam(column.name, type_=column.type) for column in flow_run.columns}
_INSERT = Statement(sa.insert(flow_run).values(_COLUMNS))

PLANS: list[tuple[str, Statement, str, str]] = [
    ("due", DUE, "kernel_ix_flow_run__due", "kernel_ix_flow_run__due"),
    ("subflows", SUBFLOWS, "kernel_ix_flow_run__subflows", ""),
    ("cancelling", CANCELLING, "state_type", "state_type"),
    ("claims", OVERDUE, "state_type", ""),
]


def many(kernel: KernelUnderTest) -> None:
    """Runs that have ended, some that are late, and some that are for later."""
    now = kernel.clock.now()
    flow = kernel.client.post("/flows/", json={"name": "many"}).json()["id"]
    common: dict[str, Any] = {**dict.fromkeys(_COLUMNS), "created": now, "updated": now, "flow_id": flow}
    common |= {"name": "one", "run_count": 0, "parameters": {}, "context": {}, "empirical_policy": {}, "tags": []}
    common |= {"auto_scheduled": True, "total_run_time": timedelta(0), "labels": {}}
    kinds = (("COMPLETED", "Completed", None), ("SCHEDULED", "Late", -1), ("SCHEDULED", "Scheduled", 1))
    rows = []
    for number in range(RUNS):
        state_type, state_name, way = kinds[number % 3]
        rows.append(
            {
                **common,
                "id": uuid7(),
                "state_timestamp": now - timedelta(seconds=number),
                "state_type": state_type,
                "state_name": state_name,
                "next_scheduled_start_time": None if way is None else now + timedelta(seconds=way * number),
            }
        )

    def unit() -> Unit[None]:
        yield _INSERT.many(rows)

    kernel.run(kernel.kernel.storage.write(unit))
    if kernel.kernel.storage.dialect == "postgresql":
        kernel.run(kernel.kernel.storage.write(_one, Statement(sa.text("ANALYZE flow_run")), {}))


def _one(statement: Statement, params: dict[str, Any]) -> Unit[Any]:
    return (yield statement.bind(params))


def plan(kernel: KernelUnderTest, statement: Statement, now: datetime) -> str:
    """How the database would find the rows of a statement."""
    storage = kernel.kernel.storage
    compiled = statement.compiled(storage.dialect)
    prefix = "EXPLAIN QUERY PLAN " if storage.dialect == "sqlite" else "EXPLAIN "
    arguments = compiled.arguments({"before": now, "after": NO_ID, "count": 100})

    class Explained:
        text, returns_rows, width = prefix + compiled.text, True, compiled.width

        @staticmethod
        def arguments(_: Any) -> list[Any]:
            return arguments

        @staticmethod
        def rows(found: Any) -> list[Any]:
            return list(found)

    class Explaining(Statement):
        def compiled(self, _: str) -> Any:
            return Explained

    rows = kernel.run(storage.read(_one, Explaining(sa.text("SELECT 1")), {}))
    return "\n".join(str(row[-1]) for row in rows)


@pytest.mark.parametrize(("name", "statement", "sqlite", "postgresql"), PLANS, ids=[one[0] for one in PLANS])
def test_services_use_indexes(
    kernel: KernelUnderTest, name: str, statement: Statement, sqlite: str, postgresql: str
) -> None:
    """The index that was made for it, or the one on states; never the one on times, by which nearly all are old."""
    many(kernel)
    told = plan(kernel, statement, kernel.clock.now())
    assert (sqlite if kernel.kernel.storage.dialect == "sqlite" else postgresql) in told, told
    assert "Seq Scan on flow_run" not in told, told
    assert "ix_flow_run__state_timestamp" not in told, told
