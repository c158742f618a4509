"""What is left to do when runs are cancelled: their task runs, their subflows, and runs that are cancelled forever."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from prefect_kernel import Service
from prefect_kernel.errors import ObjectNotFound
from prefect_kernel.propose import propose
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID, Timestamp
from prefect_kernel.transition import Move, State

from ..common.planning import unindexed
from ..flow_runs.tables import flow_run
from ..flow_runs.transitions import load, set_state, transition
from ..task_runs.tables import task_run
from ..task_runs.transitions import set_state as set_task_run_state
from ..work_pools.tables import work_pool, work_queue
from .paging import pages, read

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

BATCH = 200
"""Runs looked at at once."""
MAX_TASK_RUNS = 100
"""Task runs of one flow run that are cancelled in one round."""
_PARENT_CANCELLED = "The parent flow run was cancelled."
_TIMED_OUT = "Flow run cancellation timed out; marked this flow run as Cancelled."
TEARDOWN = "cancelling_timeout_teardown.v1"
"""What a worker is told to do about a run whose cancellation has timed out."""

_LIVE = ("PENDING", "SCHEDULED", "RUNNING", "PAUSED", "CANCELLING")
_LITERALS = [sa.literal_column(f"'{state}'") for state in _LIVE]
_AFTER = flow_run.c.id > sa.bindparam("after", type_=UUID())
_COUNT = sa.bindparam("count", type_=sa.Integer())

CHILDREN = Statement(
    sa.select(flow_run.c.id, task_run.c.id)
    .select_from(flow_run.join(task_run, task_run.c.flow_run_id == flow_run.c.id))
    .where(
        flow_run.c.state_type == sa.literal_column("'CANCELLED'"),
        flow_run.c.end_time >= sa.bindparam("since", type_=Timestamp()),
        task_run.c.state_type.in_(_LITERALS),
    )
    .limit(_COUNT)
)
"""Task runs that go on, of runs that were cancelled within a day."""

_parent = flow_run.alias("parent")
SUBFLOWS = Statement(
    sa.select(flow_run.c.id, flow_run.c.deployment_id)
    .select_from(
        flow_run.join(task_run, task_run.c.id == flow_run.c.parent_task_run_id).outerjoin(
            _parent, _parent.c.id == task_run.c.flow_run_id
        )
    )
    .where(
        flow_run.c.state_type.in_(_LITERALS),
        flow_run.c.parent_task_run_id.is_not(None),
        task_run.c.flow_run_id.is_not(None),
        sa.or_(_parent.c.state_type.is_(None), _parent.c.state_type == sa.literal_column("'CANCELLED'")),
        sa.or_(flow_run.c.deployment_id.is_(None), flow_run.c.state_type != sa.literal_column("'CANCELLING'")),
        _AFTER,
    )
    .order_by(flow_run.c.id)
    .limit(_COUNT)
)
"""Subflows that go on although the run which they are part of was cancelled, or is gone."""

CANCELLING = Statement(
    sa.select(
        flow_run.c.id,
        flow_run.c.state_id,
        flow_run.c.infrastructure_pid,
        work_queue.c.id,
        work_pool.c.id,
        work_pool.c.type,
    )
    .select_from(
        flow_run.outerjoin(work_queue, work_queue.c.id == flow_run.c.work_queue_id).outerjoin(
            work_pool, work_pool.c.id == work_queue.c.work_pool_id
        )
    )
    .where(
        flow_run.c.state_type == sa.literal_column("'CANCELLING'"),
        unindexed(flow_run.c.state_timestamp) <= sa.bindparam("before", type_=Timestamp()),
    )
    .order_by(unindexed(flow_run.c.state_timestamp), flow_run.c.id)
    .limit(_COUNT)
)
"""Runs whose cancellation takes too long, and where their workers are."""


def _cancelled(now: datetime) -> State:
    return State("CANCELLED", message=_PARENT_CANCELLED, timestamp=now)


def _cancelling(now: datetime) -> State:
    return State("CANCELLING", message=_PARENT_CANCELLED, timestamp=now)


def _timed_out(now: datetime) -> State:
    return State("CANCELLED", message=_TIMED_OUT, timestamp=now)


class _Changed(Exception):
    """The run is not in the state any more that was to time out."""


def _if_still(
    kernel: Kernel, run_id: str, make: Callable[[datetime], State], *, state_id: str, **options: Any
) -> Unit[Move]:
    found = yield from load(run_id)
    if found is None or found[1] is None or found[1].id != state_id:
        raise _Changed
    return (yield from transition(kernel, run_id, make, **options))


class CancellationCleanup(Service):
    """Ends what cancelled runs have left behind."""

    name: ClassVar[str] = "cancellation-cleanup"
    setting: ClassVar[str] = "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED"

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        return bool(settings.server.services.cancellation_cleanup.enabled)

    @classmethod
    def every(cls, settings: Any) -> float:
        return float(settings.server.services.cancellation_cleanup.loop_seconds)

    async def tick(self) -> None:
        await self._task_runs()
        await self._subflows()
        await self._timeouts()

    async def _task_runs(self) -> None:
        kernel = self.kernel
        since = kernel.clock.now() - timedelta(days=1)
        number: dict[str, int] = {}
        for flow_run_id, id in await read(kernel, CHILDREN, since=since, count=10 * BATCH):
            number[flow_run_id] = number.get(flow_run_id, 0) + 1
            if number[flow_run_id] > MAX_TASK_RUNS:
                continue
            try:
                await set_task_run_state(kernel, id, _cancelled, policy="minimal-task")
            except ObjectNotFound:
                continue  # deleted meanwhile

    async def _subflows(self) -> None:
        async for rows in pages(self.kernel, SUBFLOWS, BATCH):
            for id, deployment_id in rows:
                make = _cancelled if deployment_id is None else _cancelling
                try:
                    await set_state(self.kernel, id, make, policy="minimal-flow")
                except ObjectNotFound:
                    continue

    async def _timeouts(self) -> None:
        kernel = self.kernel
        timeout = kernel.settings.server.services.cancellation_cleanup.cancelling_timeout_seconds
        before = kernel.clock.now() - timedelta(seconds=timeout)
        for id, state_id, pid, queue_id, pool_id, pool_type in await read(
            kernel, CANCELLING, before=before, count=BATCH
        ):
            unit = partial(_if_still, state_id=state_id)
            options: dict[str, Any] = {"policy": "core-flow", "now": kernel.clock.now()}
            try:
                move = await propose(kernel, ("core-flow", "global-flow"), unit, id, _timed_out, **options)
            except (_Changed, ObjectNotFound):
                continue
            managed = (pool_type or "").endswith((":push", ":managed"))
            ended = move.validated
            if ended is None or ended.type != "CANCELLED" or managed:
                continue
            if queue_id is not None and pool_id is not None:
                self._tear_down(id, ended.id, pid, queue_id, pool_id)

    def _tear_down(self, run_id: str, state_id: str, pid: str | None, queue_id: str, pool_id: str) -> None:
        """Have a worker of the pool remove what is left of the run; `state_id` is that of its Cancelled state."""
        from ..work_pools.cleanup import queue_of

        queue_of(self.kernel).enqueue(
            id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"prefect:{TEARDOWN}:{run_id}:{state_id}")),
            key=f"{TEARDOWN}:{run_id}:{state_id}",
            pool_id=pool_id,
            kind=TEARDOWN,
            target={"flow_run_id": run_id, "infrastructure_pid": pid},
            queue_id=queue_id,
        )
