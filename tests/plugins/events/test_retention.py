"""How long events are kept: those of a name for as long as it says, the others as long as all."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.events.tables import event_resources, events

_NAMES = Statement(sa.select(events.c.event, sa.func.count()).group_by(events.c.event))
_RESOURCES = Statement(sa.select(sa.func.count()).select_from(event_resources))
OVERRIDES = {"short": 3600, "long": 30 * 86400}


def stored(kernel: KernelUnderTest) -> tuple[dict[str, int], int]:
    """How many events of each name there are, and how many rows of resources."""

    def unit() -> Unit[Any]:
        names = yield _NAMES()
        resources = yield _RESOURCES()
        return dict(names), resources[0][0]

    found: tuple[dict[str, int], int] = kernel.run(kernel.kernel.storage.read(unit))
    return found


def test_events_are_kept_as_long_as_their_name_says(make_kernel: MakeKernel, prepared_url: str) -> None:
    """More of them than go in one transaction; a longer time than that of all does not count, as with Prefect."""
    settings = {
        "PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES": json.dumps(OVERRIDES),
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": timedelta(days=7).total_seconds(),
    }
    kernel = make_kernel(storage=prepared_url, settings=settings)
    related = [{"prefect.resource.id": "x", "prefect.resource.role": "tag"}]
    numbers = {"short": 450, "long": 10, "other": 250}
    for name, number in numbers.items():
        body = [
            {"id": uuid4(), "occurred": kernel.clock.now().isoformat(), "event": name,
             "resource": {"prefect.resource.id": "r"}, "related": related}
            for _ in range(number)
        ]  # fmt: skip
        assert kernel.client.post("/events", json=body).status == 204
    kernel.tick("db-vacuum-events")
    assert stored(kernel) == (numbers, 1420)
    kernel.clock.advance(hours=2)
    kernel.tick("db-vacuum-events")
    assert stored(kernel) == ({"long": 10, "other": 250}, 520)
    kernel.clock.advance(days=8)
    kernel.tick("db-vacuum-events")
    assert stored(kernel) == ({}, 0)
