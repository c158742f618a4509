"""What has fired and what came of it; actions that failed, tried again by hand; dry runs. The kernel's own routes."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import sqlalchemy as sa
from pydantic import BaseModel, Field, ValidationError

from prefect_kernel import errors, web
from prefect_kernel.sql import Statement, Unit, in_list
from prefect_kernel.sql.types import UUID, Timestamp

from ..common.fields import DateTime
from ..events.tables import events
from . import kinds, queries
from .evaluating import Evaluation, Event
from .schemas import Automation
from .store import to_event
from .tables import automation_action as action
from .tables import automation_firing as firing

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

group = web.Group("Automations of the kernel", prefix="/kernel")

DRY_RUN_EVENTS = 10_000
"""Events that a dry run looks at, at most."""

DRY_RUN_LOOKS = 20_000
"""How many windows a dry run looks at to see what did not happen, at most; a day has 8,640 of the shortest."""

FORGET = 500
"""Firings that are forgotten in one transaction."""

_NOW = sa.bindparam("now", type_=Timestamp())
_LIMITS = {name: sa.bindparam(name, type_=sa.Integer()) for name in ("limit", "offset")}
_ACTION = [
    action.c[name] for name in "id firing_id automation_id number action status attempts due error updated".split()
]
_FAILED = sa.or_(action.c.status == "failed", action.c.status == "dead")
_FIRINGS = Statement(
    sa.select(firing.c.id, firing.c.fired, firing.c.event_id, firing.c.firing)
    .where(firing.c.automation_id == sa.bindparam("id", type_=UUID()))
    .order_by(firing.c.fired.desc(), firing.c.id.desc())
    .limit(_LIMITS["limit"])
    .offset(_LIMITS["offset"])
)
_ACTIONS = Statement(sa.select(*_ACTION).where(in_list(action.c.firing_id, "ids")).order_by(action.c.number))
_LETTERS = Statement(
    sa.select(*_ACTION)
    .where(_FAILED)
    .order_by(action.c.updated.desc(), action.c.id.desc())
    .limit(_LIMITS["limit"])
    .offset(_LIMITS["offset"])
)
_RETRY = Statement(
    sa.update(action)
    .values(status="pending", attempts=0, due=_NOW, updated=_NOW)
    .where(action.c.id == sa.bindparam("action_id", type_=UUID()), _FAILED)
)
_STATUS = Statement(sa.select(action.c.status).where(action.c.id == sa.bindparam("id", type_=UUID())))
_PAST = Statement(
    sa.select(*(events.c[name] for name in "id occurred received event resource related payload follows".split()))
    .where(
        events.c.occurred >= sa.bindparam("since", type_=Timestamp()),
        events.c.occurred <= sa.bindparam("until", type_=Timestamp()),
    )
    .order_by(events.c.occurred, events.c.id)
    .limit(sa.bindparam("limit", type_=sa.Integer()))
)
_OLD = Statement(
    sa.select(firing.c.id)
    .where(
        firing.c.fired < sa.bindparam("before", type_=Timestamp()),
        ~sa.exists().where(action.c.firing_id == firing.c.id, action.c.status == "pending"),
    )
    .limit(sa.bindparam("limit", type_=sa.Integer()))
)
_FORGET_ACTIONS = Statement(sa.delete(action).where(in_list(action.c.firing_id, "ids")))
_FORGET = Statement(sa.delete(firing).where(in_list(firing.c.id, "ids")))


class Page(BaseModel):
    """Which part of a list."""

    limit: Annotated[int, Field(ge=0, le=200)] = 50
    offset: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class DryRun(BaseModel):
    """The time whose events a dry run looks at; by default the last day."""

    since: DateTime | None = None
    until: DateTime | None = None


def _shown(cells: tuple[Any, ...]) -> dict[str, Any]:
    id, firing_id, automation_id, number, document, status, attempts, due, error, updated = cells
    return {
        "id": str(id),
        "automation_id": str(automation_id),
        "firing_id": str(firing_id),
        "index": number,
        "action": orjson.loads(document),
        "status": status,
        "attempts": attempts,
        "due": due if status == "pending" else None,
        "error": error,
        "updated": updated,
    }


def firings_of(id: str, limit: int, offset: int) -> Unit[list[dict[str, Any]]]:
    """The firings of an automation, the latest first, with their actions."""
    rows = yield _FIRINGS(id=id, limit=limit, offset=offset)
    actions: dict[str, list[dict[str, Any]]] = {}
    for cells in (yield _ACTIONS(ids=[str(row[0]) for row in rows])) if rows else ():
        one = _shown(cells)
        actions.setdefault(one["firing_id"], []).append(one)
    return [
        {
            "id": str(id_),
            "fired": fired,
            "automation_triggered_event_id": str(event_id),
            **{name: document[name] for name in ("triggering_labels", "triggering_event", "triggering_firings")},
            "actions": actions.get(str(id_), []),
        }
        for id_, fired, event_id, text in rows
        for document in [orjson.loads(text)]
    ]


def letters(limit: int, offset: int) -> Unit[list[dict[str, Any]]]:
    """The actions that failed, the latest first."""
    return [_shown(cells) for cells in (yield _LETTERS(limit=limit, offset=offset))]


def retry(id: str, now: datetime) -> Unit[str | None]:
    """Have an action that failed tried again; None when it is so, else its status. Raises ObjectNotFound."""
    if (yield _RETRY(action_id=id, now=now)):
        return None
    rows = yield _STATUS(id=id)
    if not rows:
        raise errors.ObjectNotFound("Action not found")
    return str(rows[0][0])


def past(id: str, since: datetime, until: datetime) -> Unit[tuple[Automation, list[Event]]]:
    """An automation, and the events of a time for a dry run. Raises ObjectNotFound."""
    row = yield from queries.by_id(id)
    if row is None:
        raise errors.ObjectNotFound("Automation not found")
    try:
        automation = Automation.model_validate({**queries.as_dict(row), "enabled": False})
    except ValidationError:
        raise errors.Conflict("The automation cannot be evaluated; is the plugin of its trigger loaded?") from None
    rows = yield _PAST(since=since, until=until, limit=DRY_RUN_EVENTS)
    return automation, [to_event(cells) for cells in rows]


def dry_run(automation: Automation, stored: list[Event], since: datetime, until: datetime) -> dict[str, Any]:
    """When an automation would have fired on the events of a time; stops where it has looked often enough."""
    evaluation = Evaluation([automation], since)
    proactive = [trigger for trigger in evaluation.event_triggers if trigger.proactive]
    due = {trigger.id: since for trigger in proactive}
    looks = 0

    def pass_time(now: datetime) -> bool:
        """Look at what did not happen; False when that was done too often."""
        nonlocal looks
        for trigger in proactive:
            while due[trigger.id] <= now:
                looks += 1 + len(evaluation.buckets)
                if looks > DRY_RUN_LOOKS:
                    return False
                evaluation.now = moment = due[trigger.id]
                buckets = [one for one in evaluation.buckets.values() if one.trigger_id == str(trigger.id)]
                due[trigger.id] = evaluation.look(trigger, buckets, moment)
        return True

    seen = 0
    for event in stored:
        if not pass_time(event.occurred):
            break
        seen += 1
        evaluation.now = event.occurred
        for trigger in evaluation.interested(event):
            evaluation.take(trigger, event)
    complete = seen == len(stored) < DRY_RUN_EVENTS and pass_time(until)
    return {
        "events": seen,
        "complete": complete,
        "firings": [
            {name: fired.firing[name] for name in ("triggered", "triggering_labels", "triggering_event")}
            for fired in evaluation.fired
        ],
    }


def forget(before: datetime) -> Unit[int]:
    """Delete firings that are over and older than that, with their actions; gives how many, `FORGET` at most."""
    ids = [str(cells[0]) for cells in (yield _OLD(before=before, limit=FORGET))]
    if ids:
        yield _FORGET_ACTIONS(ids=ids)
        yield _FORGET(ids=ids)
    return len(ids)


async def forget_old(kernel: Kernel) -> None:
    """Delete the firings that are older than events are kept."""
    before = kernel.clock.now() - kernel.settings.server.events.retention_period
    while await kernel.storage.write(forget, before) == FORGET:
        pass


@group.get("/automations/kinds", permission="read")
async def read_kinds(request: web.Request) -> web.Reply:
    """The kinds of triggers and actions that automations may have: their plugins, and what is sent as JSON schema."""
    return web.json(
        {
            shown: [
                {"type": name, "plugin": plugin, "schema": kind.model_json_schema()}
                for plugin, name, kind in kinds.declared(request.kernel, hook)
            ]
            for shown, hook in (("triggers", kinds.TRIGGERS), ("actions", kinds.ACTIONS))
        }
    )


@group.get("/automations/{id:uuid}/firings", permission="read", query=Page)
async def read_firings(request: web.Request) -> web.Reply:
    """What an automation has fired on, and what became of its actions; the latest first."""
    page = request.query
    return web.json(await request.kernel.storage.read(firings_of, request.path["id"], page.limit, page.offset))


@group.get("/automations/dead-letters", permission="read", query=Page)
async def read_dead_letters(request: web.Request) -> web.Reply:
    """Actions that failed, of all automations, with the reason; the latest first."""
    page = request.query
    return web.json(await request.kernel.storage.read(letters, page.limit, page.offset))


@group.post("/automations/actions/{id:uuid}/retry", status=204, permission="edit")
async def retry_action(request: web.Request) -> web.Reply:
    """Have an action that failed tried again."""
    kernel = request.kernel
    status = await kernel.storage.write(retry, request.path["id"], kernel.clock.now())
    if status is not None:
        raise errors.Conflict(f"The action is {status}; only those that failed can be tried again.")
    service = kernel.supervisor.services.get("actions")
    if service is not None:
        service.wake()
    return web.no_content()


@group.post("/automations/{id:uuid}/test", body=DryRun, embed=True, permission="read")
async def test_automation(request: web.Request, body: DryRun) -> web.Reply:
    """When the automation would have fired, on the events of a time that is past; nothing is done."""
    kernel = request.kernel
    until = body.until or kernel.clock.now()
    since = body.since or until - timedelta(days=1)
    automation, stored = await kernel.storage.read(past, request.path["id"], since, until)
    # In a thread: it may take seconds, which nobody else should wait for.
    return web.json(await asyncio.to_thread(dry_run, automation, stored, since, until))
