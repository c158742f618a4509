"""Events about work pools and work queues.

Pools and queues are mappings of canonical values (`pools.POOL_FACTS`, `queues.QUEUE_FACTS` name the keys needed).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from prefect_kernel.ids import uuid7

Facts = Mapping[str, Any]

FOLLOWS = timedelta(minutes=10)
"""A change of status names the one before it when that is younger."""


def _event(
    name: str,
    resource: dict[str, str],
    occurred: datetime,
    related: list[dict[str, str]] | None = None,
    payload: dict[str, Any] | None = None,
    id: str | None = None,
    follows: str | None = None,
) -> dict[str, Any]:
    return {
        "occurred": occurred,
        "event": name,
        "resource": resource,
        "related": related or [],
        "payload": payload or {},
        "id": id or uuid7(),
        "follows": follows,
    }


def _kebab(status: str) -> str:
    return status.lower().replace("_", "-")


def _pool_resource(pool: Facts) -> dict[str, str]:
    return {
        "prefect.resource.id": f"prefect.work-pool.{pool['id']}",
        "prefect.resource.name": pool["name"],
        "prefect.work-pool.type": pool["type"],
    }


def pool_related(pool: Facts) -> dict[str, str]:
    """A pool as a related resource."""
    return {**_pool_resource(pool), "prefect.resource.role": "work-pool"}


def queue_related(queue: Facts) -> dict[str, str]:
    """A queue as a related resource; also how its own events name it."""
    return {
        "prefect.resource.id": f"prefect.work-queue.{queue['id']}",
        "prefect.resource.name": queue["name"],
        "prefect.resource.role": "work-queue",
    }


def pool_event(action: str, pool: Facts, now: datetime) -> dict[str, Any]:
    """A pool was `created` or `deleted`."""
    related = []
    if pool["default_queue_id"]:
        related.append(
            {
                "prefect.resource.id": f"prefect.work-queue.{pool['default_queue_id']}",
                "prefect.resource.role": "default-queue",
            }
        )
    block = (pool["storage_configuration"] or {}).get("default_result_storage_block_id")
    if block:
        related.append(
            {"prefect.resource.id": f"prefect.block-document.{block}", "prefect.resource.role": "result-storage"}
        )
    return _event(f"prefect.work-pool.{action}", pool_related(pool), now, related)


def _updates(changes: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    updates = {name: {"from": old, "to": new} for name, (old, new) in changes.items()}
    return {"updated_fields": list(changes), "updates": updates}


def pool_updated(pool: Facts, changes: Mapping[str, tuple[Any, Any]], now: datetime) -> dict[str, Any]:
    """Members of a pool have changed; `changes` holds what they were and are."""
    return _event("prefect.work-pool.updated", pool_related(pool), now, payload=_updates(changes))


def pool_status(pool: Facts, status: str, now: datetime, id: str | None = None) -> dict[str, Any]:
    """A pool has the status now; `pool` is how it was before (for a new one: as it is)."""
    at = pool.get("last_transitioned_status_at")
    follows = pool["last_status_event_id"] if at is not None and now - at < FOLLOWS else None
    return _event(f"prefect.work-pool.{_kebab(status)}", _pool_resource(pool), now, id=id, follows=follows)


def queue_event(action: str, queue: Facts, pool: Facts, now: datetime) -> dict[str, Any]:
    """A queue was `created` or `deleted`, or has a status now (then `action` is the status)."""
    return _event(f"prefect.work-queue.{_kebab(action)}", queue_related(queue), now, [pool_related(pool)])


def queue_updated(queue: Facts, pool: Facts, changes: Mapping[str, tuple[Any, Any]], now: datetime) -> dict[str, Any]:
    """Members of a queue have changed; `changes` holds what they were and are."""
    return _event("prefect.work-queue.updated", queue_related(queue), now, [pool_related(pool)], _updates(changes))
