"""Events about objects of the API: created, updated, deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from prefect_kernel.ids import uuid7


def lifecycle_event(
    kind: str, action: str, id: str, name: str | None, payload: dict[str, Any], occurred: datetime
) -> dict[str, Any]:
    """`prefect.{kind}.{action}` about `prefect.{kind}.{id}`."""
    resource = {"prefect.resource.id": f"prefect.{kind}.{id}"}
    if name is not None:
        resource["prefect.resource.name"] = name
    return {
        "occurred": occurred,
        "event": f"prefect.{kind}.{action}",
        "resource": resource,
        "related": [],
        "payload": payload,
        "id": uuid7(),
        "follows": None,
    }
