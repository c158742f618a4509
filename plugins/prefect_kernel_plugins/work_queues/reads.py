"""Reading queues for the wire.

Queues with a filter are a relic: their runs are those with certain tags or of certain deployments, and are counted by
that filter.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.filtering import Shape
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID, json_from_text

from ..flow_runs.filters import FLOW_RUN_FILTER
from ..flow_runs.reads import count as count_runs
from ..work_pools.filters import WORK_QUEUE_FILTER
from ..work_pools.reads import condition
from ..work_pools.tables import work_queue
from ..work_pools.wire import HOLDING_OR_CANCELLING, QUEUE_FROM, QUEUE_WIRE, queue_columns

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

_COLUMNS = queue_columns(HOLDING_OR_CANCELLING)
_FILTER = _COLUMNS.index(work_queue.c.filter)
_LIMIT = _COLUMNS.index(work_queue.c.concurrency_limit)
_BY_ID = Statement(
    sa.select(*_COLUMNS).select_from(QUEUE_FROM).where(work_queue.c.id == sa.bindparam("id", type_=UUID())), raw=True
)


@lru_cache(128)
def page(shape: Shape | None) -> Statement:
    """One page of queues by name; those of one name, such as every pool's `default`, as they were made."""
    limit, offset = sa.bindparam("limit", type_=sa.Integer()), sa.bindparam("offset", type_=sa.Integer())
    select = sa.select(*_COLUMNS).select_from(QUEUE_FROM).where(*condition(WORK_QUEUE_FILTER, shape))
    return Statement(
        select.order_by(work_queue.c.name, work_queue.c.created, work_queue.c.id).limit(limit).offset(offset), raw=True
    )


def filtered(queue_filter: dict[str, Any], state: str | list[str], **more: Any) -> Any:
    """The flow run filter that a queue's filter stands for, for runs in these states."""
    states = [state] if isinstance(state, str) else state
    return FLOW_RUN_FILTER.model.model_validate(
        {
            "tags": {"all_": queue_filter.get("tags")},
            "deployment_id": {"any_": queue_filter.get("deployment_ids"), "is_null_": False},
            "state": {"type": {"any_": states}},
            **more,
        }
    )


def taken(queue_filter: dict[str, Any]) -> Unit[int]:
    """How many slots of a queue with a filter are taken."""
    params: dict[str, Any] = {}
    shape = FLOW_RUN_FILTER.take(filtered(queue_filter, ["PENDING", "RUNNING"]), params)
    rows = yield count_runs((("flow_runs", shape),)).bind(params)
    number: int = rows[0][0]
    return number


def to_json(kernel: Kernel, rows: list[Any]) -> Unit[bytes]:
    """Rows as a JSON array."""
    out = []
    for row in rows:
        stored = None if row[_FILTER] is None else json_from_text(row[_FILTER])
        if stored is not None and row[_LIMIT] is not None:
            row = (*row[:-1], (yield from taken(stored)))  # noqa: PLW2901 - the row as it is shown
        out.append(row)
    return QUEUE_WIRE.many(kernel.storage.dialect, out)


def one(kernel: Kernel, id: str) -> Unit[bytes | None]:
    """A queue as JSON; None when there is none."""
    rows = yield _BY_ID(id=id)
    if not rows:
        return None
    return (yield from to_json(kernel, rows))[1:-1]


def many(kernel: Kernel, statement: Statement, params: dict[str, Any]) -> Unit[bytes]:
    """A page of queues as a JSON array."""
    rows = yield statement.bind(params)
    return (yield from to_json(kernel, rows))
