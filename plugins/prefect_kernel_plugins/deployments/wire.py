"""Deployments and schedules as clients see them.

A deployment's schedules are read by a second statement, for all deployments of an answer at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.sql import Statement, Unit, in_list
from prefect_kernel.sql.types import json_from_text
from prefect_kernel.wire import Field, Nested, Wire, json_text, stored_json

from ..concurrency_limits_v2.tables import concurrency_limit_v2
from ..work_pools.tables import work_pool, work_queue
from .tables import deployment, deployment_schedule

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

SCHEDULE_COLUMNS = [
    deployment_schedule.c[name]
    for name in "id created updated deployment_id schedule active max_scheduled_runs parameters slug".split()
]
SCHEDULE_WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("deployment_id", "word"),
        Field("schedule", "json"),
        Field("active", "bool"),
        Field("max_scheduled_runs", "int"),
        Field("parameters", "json"),
        Field("slug", "text"),
    ]
)

_LIMIT_KINDS = {
    "id": "word",
    "created": "time",
    "updated": "time",
    "active": "bool",
    "name": "text",
    "limit": "int",
    "active_slots": "int",
    "slot_decay_per_second": "plain",
}
_LIMIT_WIRE = Wire([Field(name, kind) for name, kind in _LIMIT_KINDS.items()])


def _labels(text: str | None) -> str:
    return "{}" if text is None or text == "null" else stored_json(text)


@lru_cache(256)
def _options(text: str | None) -> str:
    """Stored concurrency options with every key; there are few different ones."""
    if text is None or text == "null":
        return "null"
    stored = json_from_text(text)
    return json_text({key: stored.get(key) for key in ("collision_strategy", "grace_period_seconds")})


def _by(text: str | None) -> str:
    if text is None or text == "null":
        return "null"
    stored = json_from_text(text)
    return json_text({key: stored.get(key) for key in ("id", "type", "display_value")})


def _as_it_is(text: str) -> str:
    return text


def _never(_: Any) -> str:
    return "null"


_HEAD = "id created updated name version description flow_id paused".split()
_AFTER_LIMIT = "concurrency_options infra_overrides parameters tags labels".split()
_AFTER_QUEUE = (
    "last_polled parameter_openapi_schema path pull_steps entrypoint storage_document_id infrastructure_document_id"
    " created_by updated_by"
).split()

DEPLOYMENT_COLUMNS: list[sa.ColumnElement[Any]] = [
    *(deployment.c[name] for name in _HEAD),
    deployment.c.concurrency_limit,
    *(concurrency_limit_v2.c[name] for name in _LIMIT_KINDS),
    *(deployment.c[name] for name in _AFTER_LIMIT),
    sa.func.coalesce(work_queue.c.name, deployment.c.work_queue_name),
    deployment.c.work_queue_id,
    *(deployment.c[name] for name in _AFTER_QUEUE),
    work_pool.c.name,
    deployment.c.status,
    deployment.c.enforce_parameter_schema,
]
"""What is selected from `joined`; with the text of the schedules put in, the columns of DEPLOYMENT_WIRE."""

_SCHEDULES_AT = len(_HEAD)

DEPLOYMENT_WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("name", "text"),
        Field("version", "text"),
        Field("description", "text"),
        Field("flow_id", "word"),
        Field("paused", "bool"),
        Field("schedules", _as_it_is),
        Field("concurrency_limit", _never),  # kept for old clients; the number is in the limit
        Nested("global_concurrency_limit", _LIMIT_WIRE),
        Field("concurrency_options", _options),
        Field("job_variables", "json"),
        Field("parameters", "json"),
        Field("tags", "json"),
        Field("labels", _labels),
        Field("work_queue_name", "text"),
        Field("work_queue_id", "word"),
        Field("last_polled", "time"),
        Field("parameter_openapi_schema", "json"),
        Field("path", "text"),
        Field("pull_steps", "json"),
        Field("entrypoint", "text"),
        Field("storage_document_id", "word"),
        Field("infrastructure_document_id", "word"),
        Field("created_by", _by),
        Field("updated_by", _by),
        Field("work_pool_name", "text"),
        Field("status", "word"),
        Field("enforce_parameter_schema", "bool"),
    ]
)


def joined(deployments: sa.FromClause) -> sa.FromClause:
    """`deployments` (the table, alone or joined) with all that DEPLOYMENT_COLUMNS needs."""
    return (
        deployments.outerjoin(concurrency_limit_v2, concurrency_limit_v2.c.id == deployment.c.concurrency_limit_id)
        .outerjoin(work_queue, work_queue.c.id == deployment.c.work_queue_id)
        .outerjoin(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
    )


_SCHEDULES = Statement(
    sa.select(*SCHEDULE_COLUMNS)
    .where(in_list(deployment_schedule.c.deployment_id, "ids"))
    .order_by(deployment_schedule.c.updated.desc()),
    raw=True,
)
_SCHEDULE_OWNER = SCHEDULE_COLUMNS.index(deployment_schedule.c.deployment_id)


def complete(kernel: Kernel, rows: Sequence[Sequence[Any]]) -> Unit[list[list[Any]]]:
    """Rows of DEPLOYMENT_COLUMNS with their schedules: rows for DEPLOYMENT_WIRE. One statement for all of them."""
    if not rows:
        return []
    dialect, now = kernel.storage.dialect, datetime.now(UTC)
    encode = SCHEDULE_WIRE.encoder(dialect)
    texts: dict[Any, list[str]] = {}
    for schedule in (yield _SCHEDULES(ids=[row[0] for row in rows])):
        texts.setdefault(schedule[_SCHEDULE_OWNER], []).append(encode(schedule, now))
    at = _SCHEDULES_AT
    return [[*row[:at], f"[{','.join(texts.get(row[0], ()))}]", *row[at:]] for row in rows]


def to_json(kernel: Kernel, rows: Iterable[Sequence[Any]]) -> bytes:
    """Complete rows as a JSON array."""
    return DEPLOYMENT_WIRE.many(kernel.storage.dialect, rows)
