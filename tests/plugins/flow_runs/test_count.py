"""How many flow runs there are: PostgreSQL is told by triggers, SQLite counts."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest, MakeKernel, make_kernel

__all__ = ["make_kernel"]


@pytest.fixture
def kernel(make_kernel: MakeKernel, prepared_url: str) -> KernelUnderTest:
    """A kernel on a new database; the test runs on SQLite and on PostgreSQL."""
    return make_kernel(storage=prepared_url)


def execute(kernel: KernelUnderTest, *statements: str) -> list[Any]:
    """Run SQL as somebody else would who uses the database; the rows of the last statement."""

    def unit() -> Unit[list[Any]]:
        found: Any = []
        for text in statements:
            found = yield Statement(sa.text(text), raw=True)()
        return list(found) if isinstance(found, list | tuple) else []

    return kernel.run(kernel.kernel.storage.write(unit))


def count(kernel: KernelUnderTest) -> tuple[int, int]:
    """The answer of the route, and the number of rows in the table."""
    ((rows,),) = execute(kernel, "SELECT count(*) FROM flow_run")
    answer = kernel.client.post("/flow_runs/count", json={}).json()
    assert kernel.client.post("/flow_runs/paginate", json={"limit": 1}).json()["count"] == answer
    return answer, rows


def test_the_count_is_that_of_the_rows(kernel: KernelUnderTest) -> None:
    """Whoever adds and takes away: routes, bulk statements, a flow that takes its runs with it, work undone."""
    assert count(kernel) == (0, 0)
    runs = [kernel.flow_run(state={"type": "SCHEDULED"}) for _ in range(5)]
    assert count(kernel) == (5, 5)
    assert kernel.client.delete(f"/flow_runs/{runs[0]['id']}").status == 204
    assert count(kernel) == (4, 4)
    execute(kernel, f"DELETE FROM flow_run WHERE id IN ('{runs[1]['id']}', '{runs[2]['id']}')")
    assert count(kernel) == (2, 2)
    assert kernel.client.delete(f"/flows/{runs[3]['flow_id']}").status == 204
    left = 1 if runs[3]["flow_id"] != runs[4]["flow_id"] else 0
    assert count(kernel) == (left, left)


def test_rows_of_ended_backends_are_put_together(make_kernel: MakeKernel, postgres_url: str) -> None:
    """So that their number follows that of the connections, and not of all that there ever were."""
    kernel = make_kernel(storage=postgres_url)
    execute(
        kernel, "INSERT INTO kernel_flow_run_count SELECT -i, 1 FROM generate_series(1, 200) AS i"
    )  # no process has such a number
    kernel.flow_run(state={"type": "SCHEDULED"})
    rows = execute(kernel, "SELECT backend, runs FROM kernel_flow_run_count ORDER BY backend")
    assert rows[0] == (0, 200)
    assert sum(runs for _, runs in rows) == 201
    assert len(rows) == 2


def test_a_truncated_table_is_empty(make_kernel: MakeKernel, postgres_url: str) -> None:
    """Also when somebody empties it in one go."""
    kernel = make_kernel(storage=postgres_url)
    kernel.flow_run(state={"type": "SCHEDULED"})
    execute(kernel, "TRUNCATE flow_run CASCADE")
    assert count(kernel) == (0, 0)
    kernel.flow_run(state={"type": "SCHEDULED"})
    assert count(kernel) == (1, 1)
