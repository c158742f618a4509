"""What triggers count, read and written: queues of events, buckets, firings of parts, followers, firings, actions.

One evaluation is one transaction: the events that it took off the queue, what they have changed, and the actions that
are to be done because of it are committed together or not at all. On PostgreSQL one process evaluates at a time.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pydantic import ValidationError

from prefect_kernel.ids import uuid4, uuid7
from prefect_kernel.sql import Statement, Unit, by_dialect, in_list, inserting
from prefect_kernel.sql.types import SQLITE, Timestamp
from prefect_kernel.web.reply import dumps

from ..events.tables import events
from .evaluating import Bucket, ChildFiring, Evaluation, Event, Fired, key_text, text
from .queries import COLUMNS, as_dict
from .schemas import Automation
from .tables import (
    automation,
    automation_action,
    automation_bucket,
    automation_event_follower,
    automation_firing,
    composite_trigger_child_firing,
    proactive_run,
    trigger_event,
)
from .triggers import EventTrigger

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

log = logging.getLogger("prefect_kernel.automations")

SCOPE = "triggers"
"""What followers are kept for, as Prefect names it."""

_bucket, _child, _follower = automation_bucket, composite_trigger_child_firing, automation_event_follower
_NOW = sa.bindparam("now", type_=Timestamp())

LOCK = Statement(
    by_dialect(sqlite="SELECT 1", postgresql="SELECT pg_try_advisory_xact_lock(8107343221640218214) AS mine")
)
"""True for the one process that may evaluate, until its transaction ends."""

ENABLED = Statement(sa.select(*COLUMNS).where(automation.c.enabled == sa.true()).order_by(automation.c.id))
ANY_ENABLED = Statement(sa.select(automation.c.id).where(automation.c.enabled == sa.true()).limit(1))
ANY_QUEUED = Statement(sa.select(trigger_event.c.seq).limit(1))

_EVENT = [events.c[name] for name in "id occurred received event resource related payload follows".split()]
QUEUED = Statement(
    sa.select(trigger_event.c.seq, *_EVENT)
    .select_from(trigger_event.outerjoin(events, events.c.id == trigger_event.c.event_id))
    .order_by(trigger_event.c.seq)
    .limit(sa.bindparam("count", type_=sa.Integer()))
)
DEQUEUE = Statement(sa.delete(trigger_event).where(in_list(trigger_event.c.seq, "seqs")))

STORED = Statement(sa.select(events.c.id).where(in_list(events.c.id, "ids")))
WAITING = Statement(
    sa.union_all(
        sa.select(trigger_event.c.event_id).where(in_list(trigger_event.c.event_id, "ids")),
        sa.select(_follower.c.follower_event_id).where(
            in_list(_follower.c.follower_event_id, "ids"), _follower.c.scope == SCOPE
        ),
    )
)
"""Which of these events have not been looked at: they are queued, or wait themselves."""

FOLLOWERS = Statement(
    sa.select(_follower.c.follower).where(in_list(_follower.c.leader_event_id, "ids"), _follower.c.scope == SCOPE)
)
LOST = Statement(
    sa.select(_follower.c.follower)
    .where(_follower.c.scope == SCOPE, _follower.c.received < sa.bindparam("before", type_=Timestamp()))
    .order_by(_follower.c.received)
    .limit(sa.bindparam("count", type_=sa.Integer()))
)
FORGET_FOLLOWERS = Statement(
    sa.delete(_follower).where(in_list(_follower.c.follower_event_id, "ids"), _follower.c.scope == SCOPE)
)


def _insert(table: sa.Table, insert: Any, *unique: str, keep: tuple[str, ...] = ()) -> Any:
    made = insert(table).values({c.name: sa.bindparam(f"p_{c.name}", type_=c.type) for c in table.columns})
    if not unique:
        return made
    kept = {*unique, *keep}
    return made.on_conflict_do_update(
        index_elements=list(unique), set_={c.name: made.excluded[c.name] for c in table.columns if c.name not in kept}
    )


def _upsert(table: sa.Table, *unique: str, keep: tuple[str, ...] = ("id", "created")) -> Statement:
    return Statement(inserting(lambda insert: _insert(table, insert, *unique, keep=keep)))


def row(**values: Any) -> dict[str, Any]:
    """Values under the names that the statements here give their parameters."""
    return {f"p_{name}": value for name, value in values.items()}


PARK = _upsert(_follower, "scope", "follower_event_id")
PUT_BUCKET = _upsert(_bucket, "automation_id", "trigger_id", "bucketing_key")
PUT_CHILD = _upsert(_child, "automation_id", "parent_trigger_id", "child_trigger_id")
PUT_DUE = _upsert(proactive_run, "trigger_id", keep=())
PUT_FIRING = Statement(_insert(automation_firing, sa.insert))
PUT_ACTION = Statement(_insert(automation_action, sa.insert))

_BUCKET_COLUMNS = [
    _bucket.c[name]
    for name in "automation_id trigger_id bucketing_key start end count last_event last_operation".split()
] + [_bucket.c.id, _bucket.c.created]
BUCKETS_OF_KEYS = Statement(
    by_dialect(
        sqlite=sa.select(*_BUCKET_COLUMNS).where(
            in_list(_bucket.c.trigger_id, "triggers"), in_list(_bucket.c.bucketing_key, "keys")
        ),
        postgresql=sa.select(*_BUCKET_COLUMNS).where(
            in_list(_bucket.c.trigger_id, "triggers"), in_list(sa.cast(_bucket.c.bucketing_key, sa.Text), "keys")
        ),
    )
)
BUCKETS_OF = Statement(sa.select(*_BUCKET_COLUMNS).where(in_list(_bucket.c.trigger_id, "triggers")))
DELETE_BUCKETS = Statement(sa.delete(_bucket).where(in_list(_bucket.c.id, "ids")))
SWEEP = Statement(
    sa.delete(_bucket).where(
        _bucket.c.end <= sa.bindparam("before", type_=Timestamp()), in_list(_bucket.c.trigger_id, "keep", negate=True)
    )
)
CHILDREN = Statement(
    sa.select(
        _child.c.automation_id,
        _child.c.parent_trigger_id,
        _child.c.child_trigger_id,
        _child.c.child_firing,
        _child.c.child_fired_at,
        _child.c.id,
        _child.c.created,
    ).where(in_list(_child.c.automation_id, "automations"))
)
DELETE_CHILDREN = Statement(sa.delete(_child).where(in_list(_child.c.id, "ids")))
DUE = Statement(sa.select(proactive_run.c.trigger_id, proactive_run.c.due))
DELETE_DUE = Statement(sa.delete(proactive_run).where(in_list(proactive_run.c.trigger_id, "ids")))


_PARSED: dict[tuple[str, bytes], Automation | None] = {}


def enabled_automations() -> Unit[list[Automation]]:
    """The automations that are enabled. Their documents are parsed again when they have changed.

    One that cannot be read (its kind of trigger came from a plugin that is not loaded) does not hold up the others.
    """
    found: dict[tuple[str, bytes], Automation | None] = {}
    for cells in (yield ENABLED()):
        values = as_dict(cells)
        key = (values["id"], dumps(values))
        found[key] = _PARSED[key] if key in _PARSED else _parsed(values)
    _PARSED.clear()
    _PARSED.update(found)
    return [one for one in found.values() if one is not None]


def _parsed(values: dict[str, Any]) -> Automation | None:
    try:
        return Automation.model_validate(values)
    except ValidationError as error:
        log.error("automation %s (%s) is not evaluated: %s", values["id"], values["name"], error)
        return None


def to_event(cells: tuple[Any, ...]) -> Event:
    """The event of a row with the columns of `QUEUED`."""
    id, occurred, received, name, resource, related, payload, follows = cells
    follows = None if follows is None else str(follows)
    return Event(str(id), occurred, received, name, resource, related, payload, follows)


def _to_bucket(cells: tuple[Any, ...]) -> Bucket:
    automation_id, trigger_id, key, start, end, count, last_event, operation, id, created = cells
    return Bucket(
        str(automation_id),
        str(trigger_id),
        key,
        start,
        end,
        count,
        last_event,
        operation or "",
        str(id),
        created,
        False,
    )


def load_buckets(
    evaluation: Evaluation, dialect: str, wanted: set[tuple[str, tuple[str, ...]]] | None, triggers: set[str]
) -> Unit[None]:
    """Read the buckets of triggers: all of them, or those under the wanted (trigger, key) pairs."""
    if not triggers:
        return
    if wanted is None:
        rows = yield BUCKETS_OF(triggers=list(triggers))
    else:
        keys = {key for _, key in wanted}
        rows = yield BUCKETS_OF_KEYS(triggers=list(triggers), keys=[_stored_key(dialect, key) for key in keys])
    for cells in rows:
        bucket = _to_bucket(cells)
        evaluation.buckets[(bucket.trigger_id, key_text(bucket.key))] = bucket


def _stored_key(dialect: str, key: tuple[str, ...]) -> str:
    """A bucketing key as its column holds it; jsonb as text has the same blanks, and keeps letters as they are."""
    import json

    return json.dumps(list(key), ensure_ascii=dialect == SQLITE)


def load_children(evaluation: Evaluation, triggers: list[EventTrigger]) -> Unit[None]:
    """Read the firings within composite triggers that these triggers are parts of."""
    parts = [str(one.id) for one in triggers if evaluation.parents[str(one.id)] is not None]
    ids = {str(evaluation.automations[id].id) for id in parts}
    if not ids:
        return
    for automation_id, parent, child, firing, fired, id, created in (yield CHILDREN(automations=list(ids))):
        found = ChildFiring(str(automation_id), str(parent), str(child), firing, fired, str(id), created, False)
        evaluation.children.setdefault(found.parent_id, {})[found.child_id] = found
        evaluation.last = max(evaluation.last, fired)


def flush(kernel: Kernel, evaluation: Evaluation) -> Unit[None]:
    """Write what has become of buckets and firings, and what is to be done."""
    now = evaluation.now
    if evaluation.gone:
        yield DELETE_BUCKETS(ids=list(evaluation.gone))
    changed = [_bucket_row(one, now) for one in evaluation.buckets.values() if one.changed]
    if changed:
        yield PUT_BUCKET.many(changed)
    if evaluation.children_gone:
        yield DELETE_CHILDREN(ids=list(evaluation.children_gone))
    parts = [one for of_parent in evaluation.children.values() for one in of_parent.values() if one.changed]
    if parts:
        yield PUT_CHILD.many([_child_row(one, now) for one in parts])
    if evaluation.fired:
        yield from act(kernel, evaluation.fired, now)


def _bucket_row(bucket: Bucket, now: datetime) -> dict[str, Any]:
    return row(
        automation_id=bucket.automation_id, trigger_id=bucket.trigger_id, bucketing_key=bucket.key,
        last_event=bucket.last_event, start=bucket.start, end=bucket.end, count=bucket.count,
        last_operation=bucket.last_operation, triggered_at=None, id=bucket.id,
        created=bucket.created or now, updated=now,
    )  # fmt: skip


def _child_row(child: ChildFiring, now: datetime) -> dict[str, Any]:
    return row(
        automation_id=child.automation_id, parent_trigger_id=child.parent_id, child_trigger_id=child.child_id,
        child_firing_id=child.firing["id"], child_fired_at=child.fired, child_firing=child.firing, id=child.id,
        created=child.created or now, updated=now,
    )  # fmt: skip


def park_row(event: Event, now: datetime) -> dict[str, Any]:
    """The row that keeps an event until the one that it follows has come."""
    return row(
        leader_event_id=event.follows, follower_event_id=event.id, received=event.received, follower=event.json(),
        id=uuid4(), created=now, updated=now, scope=SCOPE,
    )  # fmt: skip


def act(kernel: Kernel, all_fired: list[Fired], now: datetime) -> Unit[None]:
    """Record firings, their events, and their actions, which are then to be done; each kind in one round trip."""
    events_, firings, actions = [], [], []
    for fired in all_fired:
        firing, automation_ = fired.firing, fired.automation
        event = _state_change(fired)
        events_.append(event)
        received = {**{name: event[name] for name in ("event", "resource", "related", "payload", "id", "follows")},
                    "occurred": text(event["occurred"]), "received": text(now)}  # fmt: skip
        firings.append(
            row(
                id=firing["id"], automation_id=str(automation_.id), fired=fired.triggered, event_id=event["id"],
                automation=automation_.model_dump_json(), firing=dumps(firing).decode(),
            )
        )  # fmt: skip
        listed = [(one, firing["triggering_event"]) for one in automation_.actions]
        listed += [(one, received) for one in automation_.actions_on_trigger]
        actions += [
            row(
                id=uuid7(), firing_id=firing["id"], automation_id=str(automation_.id), number=number,
                action=action.model_dump_json(), event=None if cause is None else dumps(cause).decode(),
                status="pending", attempts=0, due=now, error=None, created=now, updated=now,
            )
            for number, (action, cause) in enumerate(listed)
        ]  # fmt: skip
    if kernel.events.wanted:
        yield kernel.events.calls(events_)
    yield PUT_FIRING.many(firings)
    if actions:
        yield PUT_ACTION.many(actions)


def _state_change(fired: Fired) -> dict[str, Any]:
    """The event `prefect.automation.triggered`."""
    firing = fired.firing
    resource = {
        "prefect.resource.id": f"prefect.automation.{fired.automation.id}",
        "prefect.resource.name": fired.automation.name,
    }
    if isinstance(fired.trigger, EventTrigger):
        resource["prefect.posture"] = fired.trigger.posture.value
    cause = firing["triggering_event"]
    related = [] if cause is None else [
        {"prefect.resource.id": f"prefect.event.{cause['id']}", "prefect.resource.role": "triggering-event"}
    ]  # fmt: skip
    return {
        "occurred": fired.triggered,
        "event": "prefect.automation.triggered",
        "resource": resource,
        "related": related,
        "payload": {"triggering_labels": firing["triggering_labels"], "triggering_event": cause},
        "id": uuid7(),
        "follows": None,
    }
