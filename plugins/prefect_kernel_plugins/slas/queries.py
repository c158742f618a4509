"""Units of agreements."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit, in_list
from prefect_kernel.sql.types import UUID, Timestamp

from ..deployments.tables import deployment
from .schemas import MOST, SlaBody
from .tables import sla as t
from .tables import violation

_COLUMNS = list(t.columns)
_NAMES = [column.name for column in _COLUMNS]
_ID = sa.bindparam("id", type_=UUID())
_PAGE = {name: sa.bindparam(name, type_=sa.Integer()) for name in ("limit", "offset")}
_BY_ID = Statement(sa.select(*_COLUMNS).where(t.c.id == _ID))
_OF_DEPLOYMENT = Statement(sa.select(*_COLUMNS).where(t.c.deployment_id == _ID).order_by(t.c.name))
_ALL = Statement(
    sa.select(*_COLUMNS).order_by(t.c.deployment_id, t.c.name).limit(_PAGE["limit"]).offset(_PAGE["offset"])
)
_INSERT = Statement(sa.insert(t).values({c.name: sa.bindparam(c.name, type_=c.type) for c in _COLUMNS}))
_CHANGED = ("updated", "name", "severity", "enabled", "kind", "seconds")
_UPDATE = Statement(
    sa.update(t)
    .values({name: sa.bindparam(f"new_{name}", type_=t.c[name].type) for name in _CHANGED})
    .where(t.c.id == sa.bindparam("sla", type_=UUID()))
)
_DELETE = Statement(sa.delete(t).where(in_list(t.c.id, "ids")))
_FORGET = Statement(sa.delete(violation).where(in_list(violation.c.sla_id, "ids")))
_DEPLOYMENT = Statement(sa.select(deployment.c.id).where(deployment.c.id == _ID))
_VIOLATIONS = Statement(
    sa.select(violation.c.subject_id, violation.c.event_id, violation.c.occurred, violation.c.cleared)
    .where(violation.c.sla_id == _ID)
    .order_by(violation.c.occurred.desc(), violation.c.subject_id)
    .limit(_PAGE["limit"])
    .offset(_PAGE["offset"])
)
_OPEN = Statement(sa.delete(violation).where(in_list(violation.c.sla_id, "ids"), violation.c.cleared == sa.null()))
_OLD = Statement(sa.delete(violation).where(violation.c.cleared < sa.bindparam("before", type_=Timestamp())))


def as_dict(cells: Any) -> dict[str, Any]:
    """A row by its columns."""
    return dict(zip(_NAMES, cells, strict=True))


def by_id(id: str) -> Unit[dict[str, Any] | None]:
    """An agreement, or None."""
    rows = yield _BY_ID(id=id)
    return as_dict(rows[0]) if rows else None


def of_deployment(id: str) -> Unit[list[dict[str, Any]]]:
    """The agreements about a deployment, by name."""
    return [as_dict(cells) for cells in (yield _OF_DEPLOYMENT(id=id))]


def page(limit: int, offset: int) -> Unit[list[dict[str, Any]]]:
    """All agreements."""
    return [as_dict(cells) for cells in (yield _ALL(limit=limit, offset=offset))]


def violations(id: str, limit: int, offset: int) -> Unit[list[dict[str, Any]]]:
    """What has violated an agreement, the latest first. Raises NotFound."""
    rows = yield _BY_ID(id=id)
    if not rows:
        raise errors.NotFound("SLA not found")
    names = ("subject_id", "event_id", "occurred", "cleared")
    found = [dict(zip(names, cells, strict=True)) for cells in (yield _VIOLATIONS(id=id, limit=limit, offset=offset))]
    for one in found:
        if one["subject_id"] == one["event_id"]:  # a silence that is over
            one["subject_id"] = as_dict(rows[0])["deployment_id"]
    return found


def _check_deployment(id: str) -> Unit[None]:
    if not (yield _DEPLOYMENT(id=id)):
        raise errors.NotFound("Deployment not found")


def _new(deployment_id: str, body: SlaBody, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid4(), "created": now, "updated": now, "deployment_id": deployment_id, "name": body.name,
        "severity": body.severity, "enabled": body.enabled is not False, "kind": body.kind, "seconds": body.seconds,
    }  # fmt: skip


def create(deployment_id: str, body: SlaBody, now: datetime) -> Unit[dict[str, Any]]:
    """Store an agreement.

    Raises NotFound without the deployment, Conflict when it has one of that name, Unprocessable when it has too many.
    """
    yield from _check_deployment(deployment_id)
    before = yield from of_deployment(deployment_id)
    if any(one["name"] == body.name for one in before):
        raise errors.Conflict(f"The deployment has an SLA named {body.name!r} already.")
    if len(before) >= MOST:
        raise errors.Unprocessable(f"A deployment may have {MOST} SLAs.")
    row = _new(deployment_id, body, now)
    yield _INSERT.bind(row)
    return row


def _change(pairs: list[tuple[dict[str, Any], SlaBody]], now: datetime) -> Unit[list[dict[str, Any]]]:
    """Put new bodies in the place of old agreements: one statement for all; gives what they are now."""
    result, changed, anew = [], [], []
    for old, body in pairs:
        new = {**_new(old["deployment_id"], body, now), "id": old["id"], "created": old["created"]}
        if all(new[name] == old[name] for name in _CHANGED if name != "updated"):
            new = old
        else:
            changed.append({**{f"new_{name}": new[name] for name in _CHANGED}, "sla": old["id"]})
        if (new["kind"], new["seconds"]) != (old["kind"], old["seconds"]):
            anew.append(old["id"])
        result.append(new)
    if changed:
        yield _UPDATE.many(changed)
    if anew:
        yield _OPEN(ids=anew)  # measured anew
    return result


def replace(id: str, body: SlaBody, now: datetime) -> Unit[dict[str, Any]]:
    """Put an agreement in the place of another. Raises NotFound, or Conflict when the name is another's."""
    rows = yield _BY_ID(id=id)
    if not rows:
        raise errors.NotFound("SLA not found")
    old = as_dict(rows[0])
    if any(one["name"] == body.name and one["id"] != id for one in (yield from of_deployment(old["deployment_id"]))):
        raise errors.Conflict(f"The deployment has an SLA named {body.name!r} already.")
    return (yield from _change([(old, body)], now))[0]


def delete(ids: list[str]) -> Unit[bool]:
    """Delete agreements, and what is known of them; False when there were none."""
    yield _FORGET(ids=ids)
    return bool((yield _DELETE(ids=ids)))


def apply(deployment_id: str, wanted: list[SlaBody], now: datetime) -> Unit[dict[str, list[dict[str, Any]]]]:
    """Make the agreements about a deployment those that are wanted, by name; what was done. Raises NotFound."""
    yield from _check_deployment(deployment_id)
    before = {one["name"]: one for one in (yield from of_deployment(deployment_id))}
    done: dict[str, list[dict[str, Any]]] = {"created": [], "updated": [], "deleted": []}
    changed = []
    for name, body in {one.name: one for one in wanted}.items():
        old = before.pop(name, None)
        if old is None:
            done["created"].append(_new(deployment_id, body, now))
        else:
            changed.append((old, body))
    if done["created"]:
        yield _INSERT.many(done["created"])
    done["updated"] = yield from _change(changed, now)
    if before:
        yield from delete([one["id"] for one in before.values()])
    done["deleted"] += before.values()
    return done


def forget_old(before: datetime) -> Unit[None]:
    """Forget violations that were over before a time."""
    yield _OLD(before=before)
