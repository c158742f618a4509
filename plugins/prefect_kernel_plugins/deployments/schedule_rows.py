"""Statements and units of the schedules of a deployment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Call, Statement, Unit
from prefect_kernel.sql.types import UUID, Timestamp

from ..schedules.models import stored
from .schemas import DeploymentScheduleCreate, DeploymentScheduleUpdate
from .tables import deployment_schedule as t
from .wire import SCHEDULE_COLUMNS

_OWNER = t.c.deployment_id == sa.bindparam("deployment_id", type_=UUID())
_ID = t.c.id == sa.bindparam("schedule_id", type_=UUID())
_COLUMNS = [column.name for column in t.columns]

_INSERT = Statement(sa.insert(t).values({name: sa.bindparam(name, type_=t.c[name].type) for name in _COLUMNS}))
_OF_DEPLOYMENT = Statement(sa.select(*SCHEDULE_COLUMNS).where(_OWNER).order_by(t.c.updated.desc()), raw=True)
_SLUGS = Statement(sa.select(t.c.id, t.c.slug).where(_OWNER))
_FORGET_SLUG = Statement(sa.update(t).values(slug=None, updated=sa.bindparam("now", type_=Timestamp())).where(_ID))
_DELETE = Statement(sa.delete(t).where(_ID, _OWNER))
_DELETE_ALL = Statement(sa.delete(t).where(_OWNER))


@lru_cache(64)
def _update(names: tuple[str, ...]) -> Statement:
    values = {name: sa.bindparam(f"new_{name}", type_=t.c[name].type) for name in (*names, "updated")}
    return Statement(sa.update(t).values(values).where(_ID, _OWNER))


def of_deployment(deployment_id: str) -> Unit[list[Any]]:
    """Raw rows of a deployment's schedules, the last one changed first."""
    rows: list[Any] = yield _OF_DEPLOYMENT(deployment_id=deployment_id)
    return rows


def slugs(deployment_id: str) -> Unit[dict[str, str | None]]:
    """Ids of a deployment's schedules with their slugs."""
    return dict((yield _SLUGS(deployment_id=deployment_id)))


def new_rows(
    deployment_id: str,
    schedules: Sequence[DeploymentScheduleCreate | DeploymentScheduleUpdate],
    now: datetime,
    *,
    bounded: bool,
) -> list[dict[str, Any]]:
    """Rows for new schedules; each is a little later than the one before it, since that is how they are ordered.

    `max_scheduled_runs` is kept only where they are `bounded`: not of schedules that come with their deployment.
    """
    return [
        {
            "id": uuid4(),
            "created": now + timedelta(microseconds=i),
            "updated": now + timedelta(microseconds=i),
            "schedule": stored(one.schedule),  # type: ignore[arg-type]  # only those that have one are given
            "active": True if one.active is None else one.active,
            "deployment_id": deployment_id,
            "max_scheduled_runs": one.max_scheduled_runs if bounded else None,
            "parameters": one.parameters,
            "slug": one.slug,
        }
        for i, one in enumerate(schedules)
    ]


def insert(rows: list[dict[str, Any]]) -> Call:
    """Store new schedules. The driver raises UniqueViolation for a slug that the deployment has already."""
    return _INSERT.many(rows)


def change(deployment_id: str, schedule_id: str, given: DeploymentScheduleUpdate, now: datetime) -> Call:
    """Change a schedule: what is given and not null, and its parameters. Touches no row when there is none."""
    values: dict[str, Any] = {"parameters": given.parameters}
    for name in ("active", "max_scheduled_runs", "slug"):
        if getattr(given, name) is not None:
            values[name] = getattr(given, name)
    if given.schedule is not None:
        values["schedule"] = stored(given.schedule)
    names = tuple(sorted(values))
    params = {f"new_{name}": value for name, value in values.items()}
    return _update(names).bind(
        {**params, "new_updated": now, "schedule_id": schedule_id, "deployment_id": deployment_id}
    )


def forget_slug(schedule_id: str, now: datetime) -> Call:
    """Take a schedule's slug away, so that another may have it."""
    return _FORGET_SLUG(schedule_id=schedule_id, now=now)


def delete(deployment_id: str, schedule_id: str) -> Call:
    """Delete a schedule."""
    return _DELETE(deployment_id=deployment_id, schedule_id=schedule_id)


def delete_all(deployment_id: str) -> Call:
    """Delete all schedules of a deployment."""
    return _DELETE_ALL(deployment_id=deployment_id)
