"""The triggers service: looks at the events that were stored, and at what did not happen.

Events are put into a queue in the transaction that stores them (`events/storing`), as long as any automation is
enabled. They are taken off it in the transaction that writes what they have changed: a process that dies leaves its
events to the next, and no event is counted twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from prefect_kernel import Service, errors
from prefect_kernel.sql import Unit, point_read

from . import store
from .evaluating import LOOKBACK, Evaluation, Event
from .triggers import EventTrigger

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

BATCH = 200
"""Events looked at in one transaction."""

POLL_SECONDS = 1.0
"""How often other processes' events are looked for; one's own come at once."""

CAUSES = 20
"""How deep events that follow one another are looked for."""


@point_read
def something_to_do() -> Unit[tuple[bool, bool]]:
    """Whether events are queued, and whether any automation is enabled."""
    queued = yield store.ANY_QUEUED()
    enabled = yield store.ANY_ENABLED()
    return bool(queued), bool(enabled)


def take_events(kernel: Kernel, now: datetime) -> Unit[tuple[int, int]]:
    """Look at one batch of queued events; gives how many, and how often automations fired.

    (-1, 0) says that another process is looking at them.
    """
    rows = yield store.LOCK()
    if not rows[0][0]:
        return -1, 0
    queued: list[tuple[Any, ...]] = yield store.QUEUED(count=BATCH)
    if not queued:
        return 0, 0
    automations = yield from store.enabled_automations()
    arrived = [store.to_event(cells[1:]) for cells in queued if cells[1] is not None]  # others are past their retention
    evaluation = Evaluation(automations, now)
    if evaluation.event_triggers:
        ready, early, resolved = yield from _in_order(arrived, now)
        yield from _see(kernel, evaluation, ready)
        if early:
            yield store.PARK.many([store.park_row(event, now) for event in early])
        if resolved:
            yield store.FORGET_FOLLOWERS(ids=resolved)
    yield store.DEQUEUE(seqs=[cells[0] for cells in queued])
    return len(queued), len(evaluation.fired)


def _see(kernel: Kernel, evaluation: Evaluation, events: list[Event]) -> Unit[None]:
    """Let triggers see events, in this order, and write what has become of them."""
    pairs = [(trigger, event) for event in events for trigger in evaluation.interested(event)]
    if not pairs:
        return
    wanted = {(str(trigger.id), tuple(trigger.key(event.resource, event.related))) for trigger, event in pairs}
    triggers: dict[str, EventTrigger] = {str(trigger.id): trigger for trigger, _ in pairs}
    yield from store.load_buckets(evaluation, kernel.storage.dialect, wanted, set(triggers))
    yield from store.load_children(evaluation, list(triggers.values()))
    for trigger, event in pairs:
        evaluation.take(trigger, event)
    yield from store.flush(kernel, evaluation)


def _in_order(arrived: list[Event], now: datetime) -> Unit[tuple[list[Event], list[Event], list[str]]]:
    """Events in the order of cause and effect.

    Gives those to be looked at, those whose cause has not come yet, and the ids of those that have waited for one that
    has come now.
    """
    waiting: dict[str, list[Event]] = {}
    """Events that wait for others of this batch, or wait in the database for them."""
    batch = {event.id for event in arrived}
    unseen = yield from _unseen({e.follows for e in arrived if e.follows and e.follows not in batch})
    parked: list[str] = []
    ids = batch
    for _ in range(CAUSES):
        rows = yield store.FOLLOWERS(ids=list(ids))
        followers = [Event.of(cells[0]) for cells in rows]
        for one in followers:
            waiting.setdefault(str(one.follows), []).append(one)
        parked += [one.id for one in followers]
        ids = {one.id for one in followers}
        if not ids:
            break
    first, early = [], []
    for event in arrived:
        if event.follows in batch and now - event.received < LOOKBACK:
            waiting.setdefault(str(event.follows), []).append(event)
        elif event.follows in unseen and now - event.received < LOOKBACK:
            early.append(event)
        else:
            first.append(event)
    ready: list[Event] = []
    seen: set[str] = set()
    for event in first:
        stack = [event]
        while stack:
            one = stack.pop()
            if one.id in seen:
                continue
            seen.add(one.id)
            ready.append(one)
            stack += sorted(waiting.pop(one.id, ()), key=lambda e: e.occurred, reverse=True)
    # What is left waits for an event that waits itself, or they wait for one another.
    early += [event for event in arrived if event.id not in seen and event not in early]
    return ready, early, [id for id in parked if id in seen]


def _unseen(ids: set[str]) -> Unit[set[str]]:
    """Which events have not been looked at: they are not stored, or wait."""
    if not ids:
        return set()
    stored = {str(cells[0]) for cells in (yield store.STORED(ids=list(ids)))}
    waiting = {str(cells[0]) for cells in (yield store.WAITING(ids=list(ids)))}
    return ids - (stored - waiting)


def look_at_time(kernel: Kernel, now: datetime, keep: timedelta) -> Unit[int]:
    """What time alone brings about: followers that wait no longer, proactive triggers, buckets that are over.

    Gives how often automations fired. `keep` is for how long buckets are kept after their end.
    """
    rows = yield store.LOCK()
    if not rows[0][0]:
        return 0
    automations = yield from store.enabled_automations()
    fired = 0
    lost = sorted((Event.of(cells[0]) for cells in (yield store.LOST(before=now - LOOKBACK))), key=lambda e: e.occurred)
    if lost:
        evaluation = Evaluation(automations, now)
        yield from _see(kernel, evaluation, lost)
        yield store.FORGET_FOLLOWERS(ids=[event.id for event in lost])
        fired += len(evaluation.fired)
    evaluation = Evaluation(automations, now)
    proactive = {str(one.id): one for one in evaluation.event_triggers if one.proactive}
    runs = {str(id): due for id, due in (yield store.DUE())}
    gone = [id for id in runs if id not in proactive]
    if gone:
        yield store.DELETE_DUE(ids=gone)
    due = [trigger for id, trigger in proactive.items() if runs.get(id, now) <= now]
    if due:
        yield from store.load_buckets(evaluation, kernel.storage.dialect, None, {str(one.id) for one in due})
        yield from store.load_children(evaluation, due)
        of_trigger: dict[str, list[Any]] = {}
        for bucket in evaluation.buckets.values():
            of_trigger.setdefault(bucket.trigger_id, []).append(bucket)
        again = [
            store.row(trigger_id=str(one.id), due=evaluation.look(one, of_trigger.get(str(one.id), []), now))
            for one in due
        ]
        yield from store.flush(kernel, evaluation)
        yield store.PUT_DUE.many(again)
    yield store.SWEEP(before=now - keep, keep=list(proactive))
    return fired + len(evaluation.fired)


class Triggers(Service):
    """Evaluates the triggers of automations; does next to nothing while no automation is enabled."""

    name: ClassVar[str] = "triggers"

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        services = settings.server.services
        return bool(services.triggers.enabled and services.event_persister.enabled)

    @classmethod
    def every(cls, settings: Any) -> float:
        return POLL_SECONDS

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        kernel.events.stored = self._stored
        self._active = True
        self._next: datetime | None = None

    def _stored(self) -> None:
        if self._active:
            self.wake()

    async def tick(self) -> None:
        kernel = self.kernel
        queued, self._active = await kernel.storage.read(something_to_do)
        fired = 0
        while queued:
            number, firings = await self._write(take_events)
            fired += firings
            if number < BATCH:
                break
        settings = kernel.settings.server.events
        now = kernel.clock.now()
        if self._next is None or now >= self._next:
            if self._active or queued:
                fired += await self._write(look_at_time, settings.expired_bucket_buffer)
            self._next = now + settings.proactive_granularity
        if fired:
            kernel.events.committed()
            actions = kernel.supervisor.services.get("actions")
            if actions is not None:
                actions.wake()

    async def _write(self, unit: Any, *arguments: Any) -> Any:
        """Run an evaluation; once more when an automation was deleted meanwhile."""
        try:
            return await self.kernel.storage.write(unit, self.kernel, self.kernel.clock.now(), *arguments)
        except errors.IntegrityViolation:
            return await self.kernel.storage.write(unit, self.kernel, self.kernel.clock.now(), *arguments)
