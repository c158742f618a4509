"""Reading states by their id, and all states of a run: the same routes for flow runs and for task runs."""

from __future__ import annotations

from typing import Any
from uuid import UUID as PyUUID  # noqa: N811 - UUID is the column type here

import sqlalchemy as sa
from pydantic import BaseModel, create_model

from prefect_kernel import errors, web
from prefect_kernel.sql import Statement, Unit, point_read
from prefect_kernel.sql.types import UUID
from prefect_kernel.wire import Wire

from ..artifacts.tables import artifact
from .wire import STATE_WIRE, state_columns

web.describe("State", STATE_WIRE)


def state_routes(group: web.Group, table: sa.Table, run_column: str, missing: str) -> None:
    """Declare GET /{id} and GET /?{run_column}= for a table of states."""
    wire: Wire = STATE_WIRE
    source = table.outerjoin(artifact, artifact.c.id == table.c.result_artifact_id)
    columns = state_columns(table)
    by_id = Statement(
        sa.select(*columns).select_from(source).where(table.c.id == sa.bindparam("id", type_=UUID())), raw=True
    )
    of_run = Statement(
        sa.select(*columns)
        .select_from(source)
        .where(table.c[run_column] == sa.bindparam("run_id", type_=UUID()))
        .order_by(table.c.timestamp),
        raw=True,
    )
    query: type[BaseModel] = create_model("StatesOfRun", **{run_column: (PyUUID, ...)})  # type: ignore[call-overload]

    @point_read
    def read(statement: Statement, params: dict[str, Any]) -> Unit[list[Any]]:
        rows: list[Any] = yield statement.bind(params)
        return rows

    @group.get("/{id:uuid}", permission="read", response="State")
    async def read_state(request: web.Request) -> web.Reply:
        """The state with that id."""
        storage = request.kernel.storage
        rows = await storage.read(read, by_id, {"id": request.path["id"]})
        if not rows:
            raise errors.NotFound(missing)
        return web.raw(wire.one(storage.dialect, rows[0]))

    @group.get("/", permission="read", query=query, response="State[]")
    async def read_states(request: web.Request) -> web.Reply:
        """The states that a run went through, oldest first."""
        storage = request.kernel.storage
        rows = await storage.read(read, of_run, {"run_id": str(getattr(request.query, run_column))})
        return web.raw(wire.many(storage.dialect, rows))
