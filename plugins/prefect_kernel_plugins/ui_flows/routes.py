"""Flows as the UI asks for them."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa

from prefect_kernel import web
from prefect_kernel.sql import Statement, Unit, by_dialect, in_list
from prefect_kernel.sql.statement import ListType
from prefect_kernel.wire import Field, Wire

from ..common.fields import Lenient
from ..deployments.tables import deployment

group = web.Group("UI Flows", prefix="/ui/flows")

_WIRE = Wire(
    [
        Field("id", "word"),
        Field("flow_id", "word"),
        Field("name", "text"),
        Field("state_name", "text"),
        Field("state_type", "word"),
        Field("next_scheduled_start_time", "time"),
    ]
)


def _next_runs(of_flows: str) -> sa.TextClause:
    """The first scheduled run of each flow, found among the scheduled ones: a flow has many more that are over."""
    text = f"""
    SELECT {", ".join(f"run.{member.key}" for member in _WIRE.members)}
      FROM (SELECT id, row_number() OVER (PARTITION BY flow_id ORDER BY next_scheduled_start_time, id) AS place
              FROM flow_run
             WHERE state_type = 'SCHEDULED' AND next_scheduled_start_time IS NOT NULL AND {of_flows}) AS scheduled
      JOIN flow_run AS run ON run.id = scheduled.id
     WHERE scheduled.place = 1
    """
    return sa.text(text).bindparams(sa.bindparam("ids", type_=ListType()))


_NEXT = Statement(
    by_dialect(
        sqlite=_next_runs("+flow_id IN (SELECT value FROM json_each(:ids))"),
        postgresql=_next_runs("flow_id = ANY (CAST(:ids AS uuid[]))"),
    ),
    raw=True,
)
_COUNT = Statement(
    sa.select(deployment.c.flow_id, sa.func.count())
    .where(in_list(deployment.c.flow_id, "ids"))
    .group_by(deployment.c.flow_id)
)


class FlowIds(Lenient):
    """Which flows."""

    flow_ids: list[UUID]


def counted(ids: list[str]) -> Unit[dict[str, int]]:
    """How many deployments each flow has."""
    rows = yield _COUNT(ids=ids)
    return dict.fromkeys(ids, 0) | {row[0]: row[1] for row in rows}


def next_runs(dialect: str, ids: list[str]) -> Unit[bytes]:
    """The next run of each flow, or null, as a JSON object."""
    rows = yield _NEXT(ids=ids)
    found = {row[1]: _WIRE.one(dialect, row) for row in rows}
    return b"{" + b",".join(b'"%b":%b' % (id.encode(), found.get(id, b"null")) for id in dict.fromkeys(ids)) + b"}"


@group.post("/count-deployments", body=FlowIds, embed=True, permission="read", response="dict")
async def count_deployments_by_flow(request: web.Request, body: FlowIds) -> web.Reply:
    """How many deployments flows have."""
    return web.json(await request.kernel.storage.read(counted, [str(id) for id in body.flow_ids]))


@group.post("/next-runs", body=FlowIds, embed=True, permission="read", response="dict")
async def next_runs_by_flow(request: web.Request, body: FlowIds) -> web.Reply:
    """The next scheduled runs of flows."""
    storage = request.kernel.storage
    return web.raw(await storage.read(next_runs, storage.dialect, [str(id) for id in body.flow_ids]))
