"""Counting events, and deciding when a trigger fires: all of it in memory, over what was read before.

Nothing here waits or writes: the state that was read goes in, and what has changed comes out, to be written in the
transaction in which it was read. The algorithm is Prefect's, with its order of operations.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, cast

import orjson

from prefect_kernel.ids import uuid4, uuid7

from .schemas import Automation
from .triggers import AnyTrigger, CompositeTrigger, EventTrigger

log = logging.getLogger("prefect_kernel.automations")

LOOKBACK = timedelta(minutes=15)
"""How much older than the first event of a count others may be and still be counted."""

Key = tuple[str, str]
"""Of a bucket: the id of its trigger, and its bucketing key as JSON."""

_END = datetime(9999, 12, 31, tzinfo=UTC)
"""The end of time; what is later is infinity to PostgreSQL's driver."""

_SHOWN = ("occurred", "event", "resource", "related", "payload", "id", "follows", "received")


@dataclass(slots=True)
class Event:
    """An event as triggers see it."""

    id: str
    occurred: datetime
    received: datetime
    event: str
    resource: dict[str, str]
    related: list[dict[str, str]]
    payload: dict[str, Any]
    follows: str | None

    def json(self) -> dict[str, Any]:
        """As it is stored and shown, with times as text."""
        shown = {name: getattr(self, name) for name in _SHOWN}
        return shown | {"occurred": text(self.occurred), "received": text(self.received)}

    @staticmethod
    def of(stored: dict[str, Any]) -> Event:
        """The event of what `json` gave."""
        times = {name: datetime.fromisoformat(stored[name]).astimezone(UTC) for name in ("occurred", "received")}
        return Event(**{name: stored.get(name) for name in _SHOWN} | times)  # type: ignore[arg-type]


def text(moment: datetime) -> str:
    """A time as it is written in JSON."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def key_text(key: Iterable[str]) -> str:
    """A bucketing key as JSON, to look it up by."""
    return orjson.dumps(list(key)).decode()


KEY_BYTES = 2000
"""How long a bucketing key may be: PostgreSQL's index over it holds little more."""


def key_of(trigger: EventTrigger, event: Event) -> list[str]:
    """The bucketing key of an event. Of one that is too long, values are cut, and told apart by their digests."""
    key = trigger.key(event)
    if len(key_text(key).encode()) <= KEY_BYTES:
        return key
    room = max(80, KEY_BYTES // len(key))
    return [one if len(one.encode()) <= room else f"{one[:4]}…{sha256(one.encode()).hexdigest()}" for one in key]


@dataclass(slots=True)
class Bucket:
    """What has been counted in a window of time, for one value of the labels that are counted by."""

    automation_id: str
    trigger_id: str
    key: list[str]
    start: datetime
    end: datetime
    count: int
    last_event: dict[str, Any] | None = None
    last_operation: str = ""
    id: str = field(default_factory=uuid4)
    created: datetime | None = None
    changed: bool = True


@dataclass(slots=True)
class ChildFiring:
    """The last firing of a trigger within a composite one."""

    automation_id: str
    parent_id: str
    child_id: str
    firing: dict[str, Any]
    fired: datetime
    id: str = field(default_factory=uuid4)
    created: datetime | None = None
    changed: bool = True


@dataclass(slots=True)
class Fired:
    """An automation has to act."""

    automation: Automation
    trigger: AnyTrigger
    firing: dict[str, Any]
    triggered: datetime


class Evaluation:
    """The state of triggers, as it was read, and what becomes of it."""

    def __init__(self, automations: Iterable[Automation], now: datetime) -> None:
        self.now = now
        self.last = _minus(now, timedelta(microseconds=1))
        """When a trigger last fired: the next does so later, since the order of firings is told by their times."""
        self.buckets: dict[Key, Bucket] = {}
        self.gone: dict[str, Bucket] = {}
        """Buckets that are no more, by their ids: of one key there may have been several in one evaluation."""
        self.children: dict[str, dict[str, ChildFiring]] = {}
        """Firings by the composite trigger that they are within, and by their own trigger."""
        self.children_gone: dict[str, ChildFiring] = {}
        self.fired: list[Fired] = []
        self.automations: dict[str, Automation] = {}
        """By the id of each trigger."""
        self.parents: dict[str, CompositeTrigger | None] = {}
        self.event_triggers: list[EventTrigger] = []
        for automation in automations:
            for trigger in automation.trigger.all_triggers():
                id = str(trigger.id)
                self.automations[id] = automation
                self.parents.setdefault(id, None)
                if isinstance(trigger, CompositeTrigger):
                    self.parents.update({str(child.id): trigger for child in trigger.triggers})
                else:
                    self.event_triggers.append(trigger)

    # ------------------------------------------------------------ events
    def interested(self, event: Event) -> list[EventTrigger]:
        """The triggers to which an event matters."""
        return [one for one in self.event_triggers if _covers(one, event)]

    def take(self, trigger: EventTrigger, event: Event) -> None:
        """Let a trigger that is interested see an event."""
        expected = trigger.expects(event.event)
        key = key_of(trigger, event)
        bucket = None
        if trigger.after and trigger.starts_after(event.event):
            # One that is expected as well ends at nothing, once it has been counted.
            first = -1 if expected else 0
            bucket = self._ensure(
                trigger, key, event.occurred, plus(event.occurred, trigger.within), event.json(), first
            )
        elif not trigger.after and expected:
            start = _minus(event.occurred, LOOKBACK)
            bucket = self._ensure(trigger, key, start, plus(event.occurred, trigger.within), event.json())
        if not expected:
            return
        bucket = bucket or self.buckets.get((str(trigger.id), key_text(key)))
        if bucket is not None:
            self.evaluate(trigger, bucket, event.occurred, event.json())

    def look(self, trigger: EventTrigger, buckets: list[Bucket], as_of: datetime) -> datetime:
        """Evaluate a proactive trigger without an event; gives the time of the next look."""
        again = plus(as_of, trigger.within)
        if not trigger.for_each:
            made = self._ensure(trigger, [], as_of, plus(as_of, trigger.within), None)
            if made not in buckets:
                buckets = [*buckets, made]
        for bucket in sorted(buckets, key=lambda one: one.start):
            if bucket.count >= trigger.threshold:
                self.forget(bucket)
                continue
            left = self.evaluate(trigger, bucket, as_of, None)
            if left is not None and as_of < left.end < again:
                again = left.end
        return again

    def evaluate(
        self, trigger: EventTrigger, bucket: Bucket, now: datetime, event: dict[str, Any] | None
    ) -> Bucket | None:
        """Count an event, if there is one, and fire if it is time; gives the bucket that is open afterwards."""
        count = 1 if event else 0
        if now < bucket.start:
            return bucket  # too late for what is counted now
        immediate = not trigger.proactive and not trigger.within
        if count and (immediate or now < bucket.end):
            bucket.count += count
            bucket.last_event, bucket.last_operation, bucket.changed = event, "increment_bucket[update]", True
            count = 0
        met = trigger.met(bucket.count)
        if met and (not trigger.proactive or bucket.end <= now):
            labels = dict(zip(sorted(trigger.for_each), bucket.key, strict=False))
            self.forget(bucket)
            self._fire(trigger, self._firing(trigger, event or bucket.last_event, labels))
        elif now < bucket.end:
            if event and trigger.proactive and not met and self._restarts(trigger, event["event"]):
                self.forget(bucket)
                began = datetime.fromisoformat(event["occurred"])
                return self._start(trigger, bucket.key, began, plus(began, trigger.within), 0, event)
            return bucket
        if trigger.after:
            self.forget(bucket)
            return None
        if not trigger.within:
            return None
        start = max(bucket.end, now)
        if not trigger.proactive and count:
            fresh = self._start(trigger, bucket.key, start, plus(start, trigger.within), 0, None)
            return self.evaluate(trigger, fresh, now, event)
        return self._start(trigger, bucket.key, start, plus(start, trigger.within), count, None)

    @staticmethod
    def _restarts(trigger: EventTrigger, name: str) -> bool:
        return trigger.starts_after(name) and trigger.expects(name)

    # ------------------------------------------------------------ buckets
    def _ensure(
        self,
        trigger: EventTrigger,
        key: list[str],
        start: datetime,
        end: datetime,
        last_event: dict[str, Any] | None,
        count: int = 0,
    ) -> Bucket:
        """The open bucket, which is left as it is but for the last event; or a new one."""
        found = self.buckets.get((str(trigger.id), key_text(key)))
        if found is None:
            return self._put(trigger, key, start, end, count, last_event, "ensure_bucket[insert]")
        if last_event:
            found.last_event, found.changed = last_event, True
        return found

    def _start(
        self,
        trigger: EventTrigger,
        key: list[str],
        start: datetime,
        end: datetime,
        count: int,
        last_event: dict[str, Any] | None,
    ) -> Bucket:
        known = (str(trigger.id), key_text(key)) in self.buckets
        return self._put(
            trigger, key, start, end, count, last_event, f"start_new_bucket[{'update' if known else 'insert'}]"
        )

    def _put(
        self,
        trigger: EventTrigger,
        key: list[str],
        start: datetime,
        end: datetime,
        count: int,
        last_event: dict[str, Any] | None,
        operation: str,
    ) -> Bucket:
        at = (str(trigger.id), key_text(key))
        bucket = Bucket(
            str(self.automations[at[0]].id), at[0], key, start, end, count, last_event, operation, created=self.now
        )
        old = self.buckets.get(at)
        if old is not None:
            bucket.id, bucket.created = old.id, old.created
        self.buckets[at] = bucket
        return bucket

    def forget(self, bucket: Bucket) -> None:
        """Let a bucket be no more."""
        at = (bucket.trigger_id, key_text(bucket.key))
        if self.buckets.pop(at, None) is not None:
            self.gone[bucket.id] = bucket

    # ------------------------------------------------------------ firing
    def _firing(
        self,
        trigger: AnyTrigger,
        event: dict[str, Any] | None,
        labels: dict[str, str] | None = None,
        firings: list[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        self.last = max(self.now, self.last + timedelta(microseconds=1))
        return {
            "id": uuid7(),
            "trigger": trigger.model_dump(mode="json"),
            "trigger_states": ["Triggered"],
            "triggered": text(self.last),
            "triggering_labels": labels or {},
            "triggering_firings": firings or [],
            "triggering_event": event,
            "triggering_value": None,
        }

    def _fire(self, trigger: AnyTrigger, firing: dict[str, Any]) -> None:
        """A trigger has fired: its automation acts, or the trigger that it is within may fire."""
        automation, parent = self.automations[str(trigger.id)], self.parents[str(trigger.id)]
        if parent is None:
            self.fired.append(Fired(automation, trigger, firing, _moment(firing)))
            return
        outer = cast("AnyTrigger", parent)
        if parent.required == 1:
            self._fire(outer, self._firing(outer, firing["triggering_event"], firings=[firing]))
            return
        children = self.children.setdefault(str(parent.id), {})
        if parent.within is not None:
            earliest = _minus(_moment(firing), parent.within)
            for child in [one for one in children.values() if one.fired < earliest]:
                self._forget(children, child)
        self._remember(children, str(automation.id), parent, str(trigger.id), firing)
        members = {str(one.id) for one in parent.triggers}
        in_order = sorted((one for one in children.values() if one.child_id in members), key=lambda one: one.fired)
        if not parent.ready([one.child_id for one in in_order]):
            return
        for child in in_order:
            self._forget(children, child)
        firings = [child.firing for child in in_order]
        self._fire(outer, self._firing(outer, firing["triggering_event"], firings=firings))

    def _remember(
        self,
        children: dict[str, ChildFiring],
        automation_id: str,
        parent: CompositeTrigger,
        child_id: str,
        firing: dict[str, Any],
    ) -> None:
        new = ChildFiring(automation_id, str(parent.id), child_id, firing, _moment(firing), created=self.now)
        old = children.get(child_id)
        if old is not None:
            new.id, new.created = old.id, old.created
        children[child_id] = new
        self.children_gone.pop(new.id, None)

    def _forget(self, children: dict[str, ChildFiring], child: ChildFiring) -> None:
        del children[child.child_id]
        self.children_gone[child.id] = child


def _covers(trigger: EventTrigger, event: Event) -> bool:
    try:
        return trigger.covers(event)
    except Exception:
        if type(trigger) is EventTrigger:
            raise
        log.exception("trigger %s (%s) cannot be asked about event %s", trigger.id, trigger.type, event.id)
        return False


def _moment(firing: dict[str, Any]) -> datetime:
    """When a firing was."""
    return datetime.fromisoformat(firing["triggered"]).astimezone(UTC)


def plus(moment: datetime, duration: timedelta) -> datetime:
    """A time that much later, or the last there is."""
    try:
        return moment + duration
    except OverflowError:
        return _END


def _minus(moment: datetime, duration: timedelta) -> datetime:
    try:
        return moment - duration
    except OverflowError:
        return moment
