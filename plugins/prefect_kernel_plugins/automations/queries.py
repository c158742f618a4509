"""Statements and units of automations and of the resources that they are related to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from prefect_kernel import errors
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Call, Statement, Unit, in_list, inserting, point_read
from prefect_kernel.sql.types import UUID, Timestamp
from prefect_kernel.web.reply import dumps

from ..common.job_variables import check_job_variables
from ..common.lifecycle import lifecycle_event
from ..common.parameters import CircularReference, ParameterError
from ..deployments.tables import deployment
from ..work_pools.tables import work_pool, work_queue
from .actions import RunDeployment
from .schemas import Automation, AutomationCore, AutomationCreate, AutomationUpdate
from .tables import (
    automation,
    automation_bucket,
    automation_related_resource,
    composite_trigger_child_firing,
    proactive_run,
)

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

COLUMNS = list(automation.columns)
_NAMES = [column.name for column in COLUMNS]
_related = automation_related_resource

_ID = sa.bindparam("id", type_=UUID())
_BY_ID = Statement(sa.select(*COLUMNS).where(automation.c.id == _ID))
_INSERT = Statement(sa.insert(automation).values({c.name: sa.bindparam(c.name, type_=c.type) for c in COLUMNS}))
_RELATED_TO = Statement(
    sa.select(*COLUMNS)
    .join(_related, _related.c.automation_id == automation.c.id)
    .where(_related.c.resource_id == sa.bindparam("resource_id"))
    .order_by(_related.c.created, _related.c.id)
)
_OWNED_BY = Statement(
    sa.select(automation.c.id)
    .join(_related, _related.c.automation_id == automation.c.id)
    .where(
        _related.c.resource_id == sa.bindparam("resource_id"),
        _related.c.automation_owned_by_resource == sa.true(),
        automation.c.created <= sa.bindparam("before", type_=Timestamp()),
    )
)
_DELETE = Statement(sa.delete(automation).where(in_list(automation.c.id, "ids")))
_CHILDREN = [
    Statement(sa.delete(table).where(in_list(table.c.automation_id, "ids")))
    for table in (automation_bucket, _related, composite_trigger_child_firing)
]
_UNRELATE = Statement(
    sa.delete(_related).where(
        _related.c.automation_id == _ID,
        _related.c.resource_id.like("prefect.deployment.%"),
        _related.c.automation_owned_by_resource == sa.false(),
    )
)


def _relate(insert: Any) -> Any:
    row = {c.name: sa.bindparam(c.name, type_=c.type) for c in _related.columns}
    made = insert(_related).values(row)
    return made.on_conflict_do_update(
        index_elements=["automation_id", "resource_id"],
        set_={
            "automation_owned_by_resource": sa.or_(
                _related.c.automation_owned_by_resource, made.excluded.automation_owned_by_resource
            ),
            "updated": made.excluded.updated,
        },
    )


_RELATE = Statement(inserting(_relate))

_DEPLOYMENT = Statement(
    sa.select(deployment.c.infra_overrides, work_pool.c.id, work_pool.c.base_job_template)
    .select_from(
        deployment.outerjoin(work_queue, work_queue.c.id == deployment.c.work_queue_id).outerjoin(
            work_pool, work_pool.c.id == work_queue.c.work_pool_id
        )
    )
    .where(deployment.c.id == _ID)
)


def as_dict(row: Any) -> dict[str, Any]:
    """A decoded row as an automation's members."""
    return dict(zip(_NAMES, row, strict=True))


def to_json(row: Any) -> bytes:
    """A decoded row as clients see it."""
    return _json(row).encode()


def list_to_json(rows: list[Any]) -> bytes:
    """Decoded rows as clients see them."""
    return f"[{','.join([_json(row) for row in rows])}]".encode()


def _json(row: Any) -> str:
    values = as_dict(row)
    try:
        return Automation.model_validate(values).model_dump_json()
    except ValidationError:  # of a kind that a plugin has brought which is not loaded: as it is stored
        return dumps(values).decode()


def _shown(values: dict[str, Any]) -> dict[str, Any]:
    """An automation's members as JSON has them; those of one that cannot be read as they are stored."""
    try:
        return Automation.model_validate(values).model_dump(mode="json")
    except ValidationError:
        found: dict[str, Any] = orjson.loads(dumps(values))
        return found


@point_read
def by_id(id: str) -> Unit[Any]:
    """The decoded row of an automation, or None."""
    rows = yield _BY_ID(id=id)
    return rows[0] if rows else None


def related_to(resource_id: str) -> Unit[list[Any]]:
    """The rows of the automations that are related to a resource."""
    rows: list[Any] = yield _RELATED_TO(resource_id=resource_id)
    return rows


def check_job_variables_of(body: AutomationCore, *, empty: bool) -> Unit[None]:
    """Check the job variables of the runs that an automation would make; `empty` ones too.

    Raises NotFound for a deployment that does not exist, Unprocessable with all that is wrong.
    """
    wrong = []
    for action in body.actions:
        if not isinstance(action, RunDeployment) or action.deployment_id is None or action.job_variables is None:
            continue
        if not action.job_variables and not empty:
            continue
        rows = yield _DEPLOYMENT(id=str(action.deployment_id))
        if not rows:
            raise errors.NotFound("Deployment not found.")
        overrides, pool, template = rows[0]
        if pool is None or not (overrides or action.job_variables):
            continue
        try:
            yield from check_job_variables(template, action.job_variables)
        except (ParameterError, CircularReference) as error:
            wrong.append(str(error))
    if wrong:
        raise errors.Unprocessable(f"Error creating automation: {' '.join(wrong)}")


def _values(body: AutomationCore, names: set[str] | None = None) -> dict[str, Any]:
    """The columns of an automation; those of members that were given when `names` tells them.

    Raises Unprocessable for what is nested too deeply.
    """
    try:
        dumped: dict[str, Any] = body.model_dump(mode="json", include=names)
    except PydanticSerializationError:  # it stops at about 250 levels
        raise errors.Unprocessable("The automation is nested too deeply.") from None
    return {name: value for name, value in dumped.items() if name in _NAMES}


def _relations(id: str, body: AutomationCore, now: datetime) -> Unit[None]:
    yield _UNRELATE(id=id)
    chosen = {a.deployment_id for a in body.actions if isinstance(a, RunDeployment) and a.source == "selected"}
    rows = [_relation(id, f"prefect.deployment.{one}", False, now) for one in chosen]
    if rows:
        yield _RELATE.many(rows)


def _relation(id: str, resource_id: str, owned: bool, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid4(), "automation_id": id, "resource_id": resource_id, "automation_owned_by_resource": owned,
        "created": now, "updated": now,
    }  # fmt: skip


_FORGET_OVER = Statement(
    sa.delete(automation_bucket).where(
        automation_bucket.c.automation_id == _ID, automation_bucket.c.end <= sa.bindparam("before", type_=Timestamp())
    )
)
_LOOK_ANEW = Statement(sa.delete(proactive_run).where(in_list(proactive_run.c.trigger_id, "ids")))
"""Proactive triggers are looked at the next time, as new ones are, and not when the last look has put that off to."""


def event(kernel: Kernel, action: str, row: dict[str, Any], now: datetime) -> list[Call]:
    """The event that tells what became of an automation."""
    if not kernel.events.wanted:
        return []
    return [kernel.events.call(lifecycle_event("automation", action, str(row["id"]), row["name"], _shown(row), now))]


def create(kernel: Kernel, body: AutomationCreate, now: datetime) -> Unit[Any]:
    """Store an automation; its row. Raises as `check_job_variables_of`."""
    yield from check_job_variables_of(body, empty=False)
    values = {**_values(body), "id": uuid4(), "created": now, "updated": now}
    yield _INSERT.bind(values)
    yield from _relations(values["id"], body, now)
    for call in event(kernel, "created", values, now):
        yield call
    if body.owner_resource:
        yield _RELATE.many([_relation(values["id"], body.owner_resource, True, now)])
    return [values[name] for name in _NAMES]


def _update(names: tuple[str, ...]) -> Statement:
    values = {name: sa.bindparam(f"new_{name}", type_=automation.c[name].type) for name in (*names, "updated")}
    return Statement(sa.update(automation).values(values).where(automation.c.id == _ID))


_UPDATES: dict[tuple[str, ...], Statement] = {}


def _change(kernel: Kernel, row: Any, new: dict[str, Any], now: datetime) -> Unit[None]:
    names = tuple(name for name in _NAMES if name in new)
    statement = _UPDATES.get(names) or _UPDATES.setdefault(names, _update(names))
    old = as_dict(row)
    yield statement.bind({**{f"new_{n}": new[n] for n in names}, "new_updated": now, "id": old["id"]})
    for call in event(kernel, "updated", {**old, **new, "updated": now}, now):
        yield call


def replace(kernel: Kernel, id: str, body: AutomationUpdate, now: datetime) -> Unit[bool]:
    """Set the members of an automation that were given; False when there is no such automation."""
    yield from check_job_variables_of(body, empty=True)
    rows = yield _BY_ID(id=id)
    if not rows:
        return False
    yield from _relations(id, body, now)
    yield from _change(kernel, rows[0], _values(body, body.model_fields_set), now)
    return True


def enable(kernel: Kernel, id: str, enabled: bool, given: bool, now: datetime) -> Unit[bool]:
    """Enable or disable an automation; unless `given`, only check that it can be. False when there is none.

    Raises InvalidRequest when it may not be enabled.
    """
    rows = yield _BY_ID(id=id)
    if not rows:
        return False
    try:
        if enabled:
            Automation.model_validate({**_shown(as_dict(rows[0]) | {"enabled": False}), "enabled": True})
    except ValidationError as error:
        wrong = [{**one, "ctx": {"error": {}}} for one in error.errors()]
        raise errors.InvalidRequest(wrong, {"enabled": enabled}) from None
    yield from _change(kernel, rows[0], {"enabled": enabled} if given else {}, now)
    if given and enabled and not as_dict(rows[0])["enabled"]:
        # While it was disabled nobody has looked at what it had counted; an event would be measured against it.
        yield _FORGET_OVER(id=id, before=now - kernel.settings.server.events.expired_bucket_buffer)
    yield _LOOK_ANEW(ids=list(_trigger_ids(_shown(as_dict(rows[0]))["trigger"])))
    return True


def _trigger_ids(trigger: dict[str, Any]) -> Iterator[str]:
    yield str(trigger["id"])
    for child in trigger.get("triggers", ()):
        yield from _trigger_ids(child)


def delete(kernel: Kernel, id: str, now: datetime) -> Unit[bool]:
    """Delete an automation with all that it counts; False when there is none."""
    rows = yield _BY_ID(id=id)
    if not rows:
        return False
    for statement in _CHILDREN:
        yield statement(ids=[id])
    yield _DELETE(ids=[id])
    for call in event(kernel, "deleted", as_dict(rows[0]), now):
        yield call
    return True


def delete_owned_by(resource_id: str, now: datetime) -> Unit[None]:
    """Delete the automations that belong to a resource and were there before."""
    rows = yield _OWNED_BY(resource_id=resource_id, before=now)
    ids = [row[0] for row in rows]
    if ids:
        for statement in _CHILDREN:
            yield statement(ids=ids)
        yield _DELETE(ids=ids)
