"""Runs of deployments that are due: what a process that serves deployments asks for."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from prefect_kernel import web
from prefect_kernel.sql import Statement, Unit, in_list
from prefect_kernel.sql.paging import page_statement
from prefect_kernel.sql.types import Timestamp

from ..common.fields import DateTime, Lenient
from ..common.paging import PageLimit, checked_limit, read_list
from ..flow_runs.tables import flow_run
from ..flow_runs.wire import FLOW_RUN_COLUMNS, FLOW_RUN_WIRE, joined
from ..work_pools import readiness
from .group import group

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel


class DueRuns(Lenient):
    """Body parameters of get_scheduled_flow_runs."""

    limit: PageLimit = None
    deployment_ids: list[UUID]
    scheduled_before: DateTime | None = None


_OF_DEPLOYMENTS = [in_list(flow_run.c.deployment_id, "ids"), flow_run.c.state_type == sa.literal_column("'SCHEDULED'")]
_BEFORE = flow_run.c.next_scheduled_start_time <= sa.bindparam("before", type_=Timestamp())
_BY_TIME = (flow_run.c.next_scheduled_start_time, False)
_ALL = page_statement(flow_run, FLOW_RUN_COLUMNS, joined, _OF_DEPLOYMENTS, _BY_TIME)
_DUE = page_statement(flow_run, FLOW_RUN_COLUMNS, joined, [*_OF_DEPLOYMENTS, _BEFORE], _BY_TIME)


def _read(kernel: Kernel, statement: Statement, params: dict[str, Any], now: datetime) -> Unit[tuple[bytes, bool]]:
    """The runs as a JSON array, and whether it is to be written that they were asked for."""
    runs = yield from read_list(kernel, FLOW_RUN_WIRE, statement, params)
    return runs, bool(params["ids"]) and (yield from readiness.due(kernel, params["ids"], now))


@group.post("/get_scheduled_flow_runs", permission="run", body=DueRuns, embed=True, response="FlowRunResponse[]")
async def get_scheduled_flow_runs_for_deployments(request: web.Request, body: DueRuns) -> web.Reply:
    """The scheduled runs of deployments, the earliest first; deployments whose runs are asked for are ready."""
    kernel = request.kernel
    ids = [str(id) for id in body.deployment_ids]
    params: dict[str, Any] = {"ids": ids, "limit": checked_limit(request, body.limit), "offset": 0}
    statement = _ALL
    if body.scheduled_before is not None:
        statement, params["before"] = _DUE, body.scheduled_before
    now = kernel.clock.now()
    found, polled = await kernel.storage.read(_read, kernel, statement, params, now)
    if polled:
        await readiness.mark_polled(kernel, now, deployment_ids=ids)
    return web.raw(found)
