"""Work pools, queues and workers as clients see them."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from prefect_kernel.sql.types import json_from_text
from prefect_kernel.wire import Derived, Field, Skip, Wire, json_text, quote

from ..flow_runs.tables import flow_run
from .pools import AGENT_TYPE, NO_STORAGE
from .tables import work_pool, work_queue, worker


def literals(*labels: str) -> list[sa.ColumnElement[Any]]:
    """Labels as they are in the text of a statement, so that plans know them."""
    return [sa.literal_column(f"'{label}'") for label in labels]


HOLDING = literals("PENDING", "RUNNING")
"""States of runs that hold a slot of their pool and queue."""
HOLDING_OR_CANCELLING = literals("PENDING", "RUNNING", "CANCELLING")
"""The same for queues that are asked for by their own id, as agents do."""


def _active(where: sa.ColumnElement[bool], limit: sa.ColumnElement[Any], states: list[Any], source: Any) -> Any:
    """How many slots are taken; NULL when there is no limit."""
    count = sa.select(sa.func.count()).select_from(source).where(where, flow_run.c.state_type.in_(states))
    return sa.case((limit.is_not(None), count.scalar_subquery()))


_its_queue = work_queue.alias("its_queue")
POOL_ACTIVE = _active(
    _its_queue.c.work_pool_id == work_pool.c.id,
    work_pool.c.concurrency_limit,
    HOLDING,
    _its_queue.join(flow_run, flow_run.c.work_queue_id == _its_queue.c.id),
)


def queue_active(states: list[Any]) -> Any:
    """The column of a queue's taken slots."""
    return _active(flow_run.c.work_queue_id == work_queue.c.id, work_queue.c.concurrency_limit, states, flow_run)


POOL_COLUMNS: list[sa.ColumnElement[Any]] = [
    *(
        work_pool.c[name]
        for name in (
            "id created updated name description type base_job_template is_paused concurrency_limit status"
            " default_queue_id storage_configuration"
        ).split()
    ),
    POOL_ACTIVE,
]
"""The columns of POOL_WIRE, to be selected from `work_pool`."""


@lru_cache(256)
def _storage(text: Any) -> str:
    stored = json_from_text(text) or {}
    return json_text({name: stored.get(name) for name in NO_STORAGE})


@lru_cache(256)
def _old_storage(text: Any) -> str:
    stored = json_from_text(text) or {}
    return json_text({name: stored.get(name) for name in NO_STORAGE if name != "default_result_storage_block_id"})


def _status(status: str | None, type: str, now: datetime) -> str:
    return "null" if status is None or type == AGENT_TYPE else quote(status)


def _pool_wire(storage: Any) -> Wire:
    return Wire(
        [
            Field("id", "word"),
            Field("created", "time"),
            Field("updated", "time"),
            Field("name", "text"),
            Field("description", "text"),
            Field("type", "text"),
            Field("base_job_template", "json"),
            Field("is_paused", "bool"),
            Field("concurrency_limit", "int"),
            Derived("status", ("stored_status", "type"), _status),
            Skip(1, "stored_status"),
            Field("default_queue_id", "word"),
            Field("storage_configuration", storage),
            Field("active_slots", "int"),
        ]
    )


POOL_WIRE = _pool_wire(_storage)
OLD_POOL_WIRE = _pool_wire(_old_storage)
"""For clients up to 3.3.7, which do not know `default_result_storage_block_id`."""


def queue_columns(states: list[Any]) -> list[sa.ColumnElement[Any]]:
    """The columns of QUEUE_WIRE, to be selected from QUEUE_FROM; `states` are those that hold a slot."""
    return [
        *(
            work_queue.c[name]
            for name in (
                "id created updated name description is_paused concurrency_limit priority work_pool_id filter"
                " last_polled"
            ).split()
        ),
        work_pool.c.name,
        work_queue.c.status,
        queue_active(states),
    ]


def queue_from(queues: sa.FromClause) -> sa.FromClause:
    """`queues` (work_queue, alone or joined) with its pool."""
    return queues.join(work_pool, work_pool.c.id == work_queue.c.work_pool_id)


QUEUE_FROM = queue_from(work_queue)


def _filter(text: Any) -> str:
    stored = None if text is None else json_from_text(text)
    return "null" if stored is None else json_text({name: stored.get(name) for name in ("tags", "deployment_ids")})


QUEUE_WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("name", "text"),
        Field("description", "text"),
        Field("is_paused", "bool"),
        Field("concurrency_limit", "int"),
        Field("priority", "int"),
        Field("work_pool_id", "word"),
        Field("filter", _filter),
        Field("last_polled", "time"),
        Field("work_pool_name", "text"),
        Field("status", "word"),
        Field("active_slots", "int"),
    ]
)

WORKER_COLUMNS = [
    worker.c[name]
    for name in ("id created updated name work_pool_id last_heartbeat_time heartbeat_interval_seconds status").split()
]
WORKER_WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("name", "text"),
        Field("work_pool_id", "word"),
        Field("last_heartbeat_time", "time"),
        Field("heartbeat_interval_seconds", "int"),
        Field("status", "word"),
    ]
)
