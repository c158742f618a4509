"""Events about deployments: what they tell, and to what they relate."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid7
from prefect_kernel.sql import Call, Statement, in_list

from ..flows.tables import flow
from ..work_pools.tables import work_pool, work_queue
from .tables import deployment

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

TOLD = (
    "description tags parameters parameter_openapi_schema enforce_parameter_schema entrypoint path pull_steps"
    " work_queue_id infra_overrides paused labels version concurrency_limit_id concurrency_options"
).split()
"""Columns whose changes an event tells."""

_MORE = "id name flow_id status storage_document_id infrastructure_document_id".split()
_RELATED = {
    "flow_name": flow.c.name,
    "queue_name": work_queue.c.name,
    "pool_id": work_pool.c.id,
    "pool_name": work_pool.c.name,
    "pool_type": work_pool.c.type,
}
KEYS = [*_MORE, *TOLD, *_RELATED]
_COLUMNS = [*(deployment.c[name] for name in (*_MORE, *TOLD)), *_RELATED.values()]
_FROM = (
    deployment.join(flow, flow.c.id == deployment.c.flow_id)
    .outerjoin(work_queue, work_queue.c.id == deployment.c.work_queue_id)
    .outerjoin(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
)

Facts = dict[str, Any]
"""Everything that a deployment's events tell."""

FACTS = Statement(sa.select(*_COLUMNS).select_from(_FROM).where(in_list(deployment.c.id, "ids")))
"""Facts of deployments, by `ids`."""


def facts(row: tuple[Any, ...]) -> Facts:
    """A row of FACTS as a mapping."""
    return dict(zip(KEYS, row, strict=True))


def _related(of: Facts) -> list[dict[str, Any]]:
    found = [_resource("flow", of["flow_id"], name=of["flow_name"])]
    if of["queue_name"] is not None:
        found.append(_resource("work-queue", of["work_queue_id"], name=of["queue_name"]))
    if of["pool_id"] is not None:
        pool = _resource("work-pool", of["pool_id"], name=of["pool_name"])
        found.append({**pool, "prefect.work-pool.type": of["pool_type"]})
    for role, kind, column in (
        ("storage", "block-document", "storage_document_id"),
        ("infrastructure", "block-document", "infrastructure_document_id"),
        ("concurrency-limit", "concurrency-limit", "concurrency_limit_id"),
    ):
        if of[column] is not None:
            found.append(_resource(kind, of[column], role=role))
    return found


def _resource(kind: str, id: str, *, name: str | None = None, role: str | None = None) -> dict[str, Any]:
    named = {} if name is None else {"prefect.resource.name": name}
    return {"prefect.resource.id": f"prefect.{kind}.{id}", **named, "prefect.resource.role": role or kind}


def event_calls(
    kernel: Kernel, action: str, of: Facts, now: datetime, payload: dict[str, Any] | None = None
) -> list[Call]:
    """The write that records `prefect.deployment.{action}`; nothing when nobody takes events."""
    if not kernel.events.wanted:
        return []
    event = {
        "occurred": now,
        "event": f"prefect.deployment.{action}",
        "resource": {
            "prefect.resource.id": f"prefect.deployment.{of['id']}",
            "prefect.resource.name": of["name"],
        },
        "related": _related(of),
        "payload": payload or {},
        "id": uuid7(),
        "follows": None,
    }
    return [kernel.events.call(event)]


def _told(of: Facts, name: str) -> Any:
    value = of[name]
    if name == "concurrency_options" and value is not None:
        return {key: value.get(key) for key in ("collision_strategy", "grace_period_seconds")}
    return value


def updated_calls(kernel: Kernel, before: Facts, after: Facts, now: datetime) -> list[Call]:
    """The write that records what an update has changed; nothing when it has changed nothing that events tell."""
    changes = {
        name: {"from": _told(before, name), "to": _told(after, name)} for name in TOLD if before[name] != after[name]
    }
    if not changes:
        return []
    return event_calls(kernel, "updated", after, now, {"updated_fields": list(changes), "updates": changes})
