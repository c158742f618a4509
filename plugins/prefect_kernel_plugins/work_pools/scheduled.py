"""Runs that are to be started: what a worker gets from its pool.

Runs come by the priorities of their queues, then by the time for which they are scheduled. A queue gives no more than
it has free slots, and neither does the pool. Nothing is claimed by asking: that is done by proposing PENDING.

Where there is a limit, slots are counted and runs are found in one state of the database. Who claims runs in between
would otherwise have others be given beyond the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.sql import Statement, Unit, by_dialect, json_value, point_read
from prefect_kernel.sql.types import SQLITE, UUID, Timestamp, json_to_text
from prefect_kernel.wire import Derived, Field, Nested, Skip, Wire

from ..common.estimates import ESTIMATED_RUN_TIME, ESTIMATED_START_TIME_DELTA
from ..flow_runs.tables import flow_run
from ..flow_runs.wire import FLOW_RUN_WIRE
from . import readiness
from .reads import no_pool, no_queue
from .tables import work_pool, work_queue
from .wire import HOLDING

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

    from .schemas import ScheduledRuns

MOST = 1000
"""How many runs one queue, or one pool, gives at most."""

ONE_BY_ONE = 16
"""As many queues are asked one after the other on SQLite, where a statement more is no round trip."""

_KINDS = {member.key: member for member in FLOW_RUN_WIRE.members if isinstance(member, Field)}
_MEMBERS = (
    "id created updated name flow_id state_id deployment_id deployment_version work_queue_name flow_version parameters"
    " idempotency_key context empirical_policy tags labels parent_task_run_id state_type state_name run_count"
    " expected_start_time next_scheduled_start_time start_time end_time total_run_time auto_scheduled"
    " infrastructure_document_id infrastructure_pid created_by work_queue_id job_variables state_timestamp"
).split()
RUN_COLUMNS = [flow_run.c[name] for name in _MEMBERS]


def _no_state(_id: str, _now: datetime) -> str:
    return "null"


def _run_wire() -> Wire:
    members: list[Any] = []
    for name in _MEMBERS[:-2]:
        members.append(_KINDS[name])
        if name == "total_run_time":
            members += [ESTIMATED_RUN_TIME, ESTIMATED_START_TIME_DELTA]
    members.append(Derived("state", ("id",), _no_state))
    return Wire([*members, _KINDS["job_variables"], Skip(1, "state_timestamp")])


RUN_WIRE = _run_wire()
"""A run without its state."""

WORKER_RUN_WIRE = Wire([Field("work_pool_id", "word"), Field("work_queue_id", "word"), Nested("flow_run", RUN_WIRE)])

# ---------------------------------------------------------------- what may give runs
_held = (
    sa.select(sa.func.count())
    .select_from(flow_run)
    .where(flow_run.c.work_queue_id == work_queue.c.id, flow_run.c.state_type.in_(HOLDING))
    .scalar_subquery()
)
_limited = sa.or_(work_pool.c.concurrency_limit.is_not(None), work_queue.c.concurrency_limit.is_not(None))
_QUEUES = Statement(
    sa.select(
        work_pool.c.id,
        work_pool.c.is_paused,
        work_pool.c.concurrency_limit,
        work_queue.c.id,
        work_queue.c.name,
        work_queue.c.is_paused,
        work_queue.c.concurrency_limit,
        work_queue.c.priority,
        work_queue.c.status,
        work_queue.c.last_polled,
        sa.case((_limited, _held), else_=sa.literal_column("0")),
        readiness.DEPLOYMENTS_DUE,
    )
    .select_from(work_pool.outerjoin(work_queue, work_queue.c.work_pool_id == work_pool.c.id))
    .where(work_pool.c.name == sa.bindparam("pool"))
    .order_by(work_queue.c.priority)
)
"""The queues of a pool by priority: limits, how many slots are taken, and whether a poll has something to write."""


class _Queue:
    """A row of _QUEUES."""

    __slots__ = ("deployments_due", "held", "id", "limit", "name", "paused", "polled", "priority", "status")

    def __init__(self, row: Any) -> None:
        (
            self.id,
            self.name,
            self.paused,
            self.limit,
            self.priority,
            self.status,
            self.polled,
            self.held,
            self.deployments_due,
        ) = row[3:]

    def due(self, horizon: datetime) -> bool:
        """Whether a poll has something to write about the queue or its deployments."""
        old = self.polled is None or self.polled < horizon
        return bool(old or self.status == "NOT_READY" or self.deployments_due)

    def room(self, most: int) -> int:
        """How many runs the queue may give."""
        return most if self.limit is None else max(0, min(most, self.limit - self.held))


# ---------------------------------------------------------------- the runs
def _conditions(runs: Any, before: bool, after: bool) -> list[sa.ColumnElement[bool]]:
    """Scheduled (as a literal, which indexes need), in time, and nobody waits for them in a process."""
    retry = json_value(runs.c.empirical_policy, "retry_type")
    out: list[sa.ColumnElement[bool]] = [
        runs.c.state_type == sa.literal_column("'SCHEDULED'"),
        sa.or_(retry.is_(None), retry != sa.literal_column("'in_process'")),
    ]
    if after:
        out.append(runs.c.next_scheduled_start_time >= sa.bindparam("after", type_=Timestamp()))
    if before:
        out.append(runs.c.next_scheduled_start_time <= sa.bindparam("before", type_=Timestamp()))
    return out


@lru_cache(4)
def of_queue(before: bool, after: bool) -> Statement:
    """The first runs (`limit`) of one queue (`queue_id`), of a pool (`pool_id`)."""
    mine = flow_run.c.work_queue_id == sa.bindparam("queue_id", type_=UUID())
    pool = sa.cast(sa.bindparam("pool_id", type_=UUID()), UUID())
    return Statement(
        by_dialect(
            sqlite=_of_queue(mine, sa.bindparam("pool_id", type_=UUID()), before, after),
            postgresql=_of_queue(mine, pool, before, after),
        ),
        raw=True,
    )


def _of_queue(mine: Any, pool: Any, before: bool, after: bool) -> sa.Select[Any]:
    return (
        sa.select(pool, flow_run.c.work_queue_id, *RUN_COLUMNS)
        .where(mine, *_conditions(flow_run, before, after))
        .order_by(flow_run.c.next_scheduled_start_time)
        .limit(sa.bindparam("limit", type_=sa.Integer()))
    )


@lru_cache(4)
def of_queues(before: bool, after: bool) -> Statement:
    """The first runs (`limit`) of several `queues`, a JSON array of [id, room, priority]."""
    return Statement(
        by_dialect(sqlite=_queues_sqlite(before, after), postgresql=_queues_postgresql(before, after)), raw=True
    )


def _queues_sqlite(before: bool, after: bool) -> sa.Select[Any]:
    # SQLite has no LATERAL; a correlated IN over row numbers finds the first runs of each queue from its index.
    limit = sa.bindparam("limit", type_=sa.Integer())
    value = sa.literal_column("one.value")
    given = (
        sa.select(
            sa.func.json_extract(value, sa.literal_column("'$[0]'")).label("id"),
            sa.func.json_extract(value, sa.literal_column("'$[1]'")).label("room"),
            sa.func.json_extract(value, sa.literal_column("'$[2]'")).label("priority"),
        )
        .select_from(sa.func.json_each(sa.bindparam("queues", type_=sa.Text())).alias("one"))
        .cte("given")
    )
    inner = flow_run.alias("waiting")
    first = (
        sa.select(sa.literal_column("waiting.rowid"))
        .select_from(inner)
        .where(inner.c.work_queue_id == given.c.id, *_conditions(inner, before, after))
        .order_by(inner.c.next_scheduled_start_time)
        .limit(limit)
        .correlate(given)
    )
    rowid, at = sa.literal_column("flow_run.rowid"), flow_run.c.next_scheduled_start_time
    ranked = (
        sa.select(
            rowid.label("at"),
            given.c.room,
            given.c.priority,
            at.label("time"),
            sa.func.row_number().over(partition_by=given.c.id, order_by=[at, rowid]).label("place"),
        )
        .select_from(given.join(flow_run, rowid.in_(first)))
        .cte("ranked")
    )
    page = (
        sa.select(ranked.c.at, ranked.c.priority, ranked.c.time)
        .where(ranked.c.place <= ranked.c.room)
        .order_by(ranked.c.priority, ranked.c.time)
        .limit(limit)
        .subquery("page")
    )
    return (
        sa.select(sa.bindparam("pool_id", type_=UUID()), flow_run.c.work_queue_id, *RUN_COLUMNS)
        .select_from(page.outerjoin(flow_run, rowid == page.c.at))
        .order_by(page.c.priority, page.c.time)
    )


def _queues_postgresql(before: bool, after: bool) -> sa.Select[Any]:
    queues = sa.cast(sa.bindparam("queues", type_=sa.Text()), sa.JSON())
    value = sa.literal_column("one.value")
    given = (
        sa.select(
            sa.cast(value.op("->>")(sa.literal_column("0")), UUID()).label("id"),
            sa.cast(value.op("->>")(sa.literal_column("1")), sa.Integer()).label("room"),
            sa.cast(value.op("->>")(sa.literal_column("2")), sa.Integer()).label("priority"),
        )
        .select_from(sa.func.json_array_elements(queues).alias("one"))
        .subquery("given")
    )
    waiting = (
        sa.select(*RUN_COLUMNS)
        .where(flow_run.c.work_queue_id == given.c.id, *_conditions(flow_run, before, after))
        .order_by(flow_run.c.next_scheduled_start_time)
        .limit(given.c.room)
        .correlate(given)
        .lateral("waiting")
    )
    return (
        sa.select(sa.cast(sa.bindparam("pool_id", type_=UUID()), UUID()), given.c.id, *waiting.c)
        .select_from(given.join(waiting, sa.true()))
        .order_by(given.c.priority, waiting.c.next_scheduled_start_time)
        .limit(sa.bindparam("limit", type_=sa.Integer()))
    )


@lru_cache(4)
def within_limits(before: bool, after: bool) -> Statement:
    """The first runs (`limit`) of a pool for which there are free slots; on PostgreSQL a statement is a snapshot.

    `queues` is a JSON array of all its queues: [id, limit, priority, whether it may give runs, whether its runs hold
    slots of the pool].
    """
    value = sa.literal_column("one.value")
    cells = [value.op("->>")(sa.literal_column(str(i))) for i in range(5)]
    id = sa.cast(cells[0], UUID())
    held = (
        sa.select(sa.func.count())
        .select_from(flow_run)
        .where(flow_run.c.work_queue_id == id, flow_run.c.state_type.in_(HOLDING))
        .scalar_subquery()
    )
    given = (
        sa.select(
            id.label("id"),
            sa.cast(cells[1], sa.Integer()).label("most"),
            sa.cast(cells[2], sa.Integer()).label("priority"),
            sa.cast(cells[3], sa.Boolean()).label("gives"),
            sa.cast(cells[4], sa.Boolean()).label("counts"),
            held.label("held"),
        )
        .select_from(
            sa.func.json_array_elements(sa.cast(sa.bindparam("queues", type_=sa.Text()), sa.JSON())).alias("one")
        )
        .cte("given")
        .prefix_with("MATERIALIZED")  # it is asked twice
    )
    limit, zero = sa.cast(sa.bindparam("limit", type_=sa.Integer()), sa.Integer()), sa.literal_column("0")
    taken = sa.select(sa.func.sum(given.c.held)).where(given.c.counts).scalar_subquery()
    pool_limit = sa.cast(sa.bindparam("pool_limit", type_=sa.Integer()), sa.Integer())
    waiting = (
        sa.select(*RUN_COLUMNS)
        .where(flow_run.c.work_queue_id == given.c.id, *_conditions(flow_run, before, after))
        .order_by(flow_run.c.next_scheduled_start_time)
        .limit(
            sa.func.greatest(zero, sa.func.least(limit, given.c.most - given.c.held))
        )  # no limit is null, and no less
        .correlate(given)
        .lateral("waiting")
    )
    return Statement(
        sa.select(sa.cast(sa.bindparam("pool_id", type_=UUID()), UUID()), given.c.id, *waiting.c)
        .select_from(given.join(waiting, given.c.gives))
        .order_by(given.c.priority, waiting.c.next_scheduled_start_time)
        .limit(sa.func.greatest(zero, sa.func.least(limit, pool_limit - taken))),
        raw=True,
    )


def _few_in_order(queues: list[_Queue]) -> bool:
    """Whether to ask one queue after the other, which on SQLite costs less than to rank what all of them have."""
    return len(queues) <= ONE_BY_ONE and len({queue.priority for queue in queues}) == len(queues)


class _Poll:
    """A poll: the pool with its queues, and which of them may give how many runs."""

    def __init__(self, rows: Sequence[Any], pool: str, body: ScheduledRuns, limit: int, dialect: str) -> None:
        """Raises NotFound."""
        if not rows:
            raise no_pool(pool)
        self.body = body
        self.pool_id, paused, self.limit = rows[0][:3]
        self.queues = self.asked = [_Queue(row) for row in rows if row[3] is not None]
        if body.work_queue_names:
            by_name = {queue.name: queue for queue in self.queues}
            for name in body.work_queue_names:
                if name not in by_name:
                    raise no_queue(pool, name)
            self.asked = [by_name[name] for name in dict.fromkeys(body.work_queue_names)]
        # The reference's statements differ: on SQLite slots that runs of paused queues hold count too.
        self.counting = [queue for queue in self.queues if dialect == SQLITE or not queue.paused]
        self.most = min(limit, MOST)
        if self.limit is not None:
            self.most = min(self.most, self.limit - sum(queue.held for queue in self.counting))
        giving = [queue for queue in self.asked if not queue.paused and queue.room(self.most)]
        self.giving = [] if paused or self.most <= 0 else sorted(giving, key=lambda queue: queue.priority)

    @property
    def limited(self) -> bool:
        """Whether slots count."""
        return self.limit is not None or any(queue.limit is not None for queue in self.giving)

    def runs(self, dialect: str, most: int) -> Unit[Sequence[Any]]:
        """The runs that may start; `most` are asked for."""
        params = {"pool_id": self.pool_id, "before": self.body.scheduled_before, "after": self.body.scheduled_after}
        shape = (self.body.scheduled_before is not None, self.body.scheduled_after is not None)
        if self.limited and dialect != SQLITE:
            gives = {queue.id for queue in self.asked if not queue.paused}
            counts = {queue.id for queue in self.counting}
            listed = [[q.id, q.limit, q.priority, q.id in gives, q.id in counts] for q in self.queues]
            limits = {"pool_limit": self.limit, "limit": most}
            found = yield within_limits(*shape).bind({**params, **limits, "queues": json_to_text(listed)})
        elif len(self.giving) == 1 or (dialect == SQLITE and _few_in_order(self.giving)):
            found = []
            for queue in self.giving:
                left = self.most - len(found)
                if left <= 0:
                    break
                found += yield of_queue(*shape).bind({**params, "queue_id": queue.id, "limit": queue.room(left)})
        else:
            listed = [[queue.id, queue.room(self.most), queue.priority] for queue in self.giving]
            found = yield of_queues(*shape).bind({**params, "queues": json_to_text(listed), "limit": self.most})
        return found


Found = tuple[bytes | None, list[str]]
"""The answer to a poll, and the ids of queues for which it has something to write."""


def find(
    kernel: Kernel, pool: str, body: ScheduledRuns, limit: int, now: datetime, *, snapshot: bool = True
) -> Unit[Found]:
    """Look for runs. Without a `snapshot` there is no answer where it takes one. Raises NotFound."""
    horizons = readiness.horizons(kernel, now)
    dialect = kernel.storage.dialect
    rows = yield _QUEUES(pool=pool, deployment_horizon=horizons["deployment_horizon"])
    asked = _Poll(rows, pool, body, limit, dialect)
    due = [queue.id for queue in asked.asked if queue.due(horizons["queue_horizon"])]
    if not asked.giving:
        return b"[]", due
    if asked.limited and dialect == SQLITE and not snapshot:
        return None, due
    found = yield from asked.runs(dialect, min(limit, MOST))
    return WORKER_RUN_WIRE.many(dialect, found, now), due


@point_read
def find_at_once(*args: Any) -> Unit[Found]:
    """As `find`, on SQLite in one state of the database per statement."""
    return (yield from find(*args, snapshot=False))


async def poll(kernel: Kernel, pool: str, body: ScheduledRuns, limit: int) -> bytes:
    """The runs that may start now, as JSON; queues and deployments are marked as polled. Raises NotFound."""
    now = kernel.clock.now()
    answer, due = await kernel.storage.read(find_at_once, kernel, pool, body, limit, now)
    if answer is None:
        answer, due = await kernel.storage.read(find, kernel, pool, body, limit, now)
    assert answer is not None
    if due:
        await readiness.mark_polled(kernel, now, due)
    return answer
