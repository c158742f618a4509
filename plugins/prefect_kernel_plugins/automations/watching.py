"""The triggers service: looks at the events that were stored, and at what did not happen.

Events are put into a queue in the transaction that stores them (`events/storing`), as long as any automation is
enabled. They are taken off it in the transaction that writes what they have changed: a process that dies leaves its
events to the next, and no event is counted twice.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from prefect_kernel import Service, errors
from prefect_kernel.sql import Unit, point_read

from . import store
from .evaluating import LOOKBACK, Evaluation, Event, key_of, plus
from .triggers import EventTrigger

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

    from .schemas import Automation

log = logging.getLogger("prefect_kernel.automations")

BATCH = 200
"""Events looked at in one transaction."""

LOST = 1000
"""Events that wait no longer looked at in one transaction, in the order in which they occurred."""

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


def take_events(kernel: Kernel, now: datetime, count: int | None = None) -> Unit[tuple[int, int]]:
    """Look at one batch of queued events; gives how many, and how often automations fired.

    (-1, 0) says that another process is looking at them.
    """
    rows = yield store.LOCK()
    if not rows[0][0]:
        return -1, 0
    queued: list[tuple[Any, ...]] = yield store.QUEUED(count=count or BATCH)
    if not queued:
        return 0, 0
    fired = yield from _take(kernel, (yield from store.enabled_automations()), queued, now)
    return len(queued), fired


def skip_event(kernel: Kernel, now: datetime) -> Unit[tuple[int, int]]:
    """Take the next event off the queue without looking at it; what came of looking at it cannot be stored."""
    rows = yield store.LOCK()
    if not rows[0][0]:
        return -1, 0
    queued: list[tuple[Any, ...]] = yield store.QUEUED(count=1)
    for seq, id, *_ in queued:
        log.error("event %s is left out by automations: what came of it cannot be stored", id)
        yield store.DEQUEUE(seqs=[seq])
    return len(queued), 0


def _take(kernel: Kernel, automations: list[Automation], queued: list[tuple[Any, ...]], now: datetime) -> Unit[int]:
    """Look at events, and take them off the queue; gives how often automations fired."""
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
    return len(evaluation.fired)


def _see(kernel: Kernel, evaluation: Evaluation, events: list[Event]) -> Unit[None]:
    """Let triggers see events, in this order, and write what has become of them."""
    pairs = [(trigger, event) for event in events for trigger in evaluation.interested(event)]
    if not pairs:
        return
    wanted = {(str(trigger.id), tuple(key_of(trigger, event))) for trigger, event in pairs}
    triggers: dict[str, EventTrigger] = {str(trigger.id): trigger for trigger, _ in pairs}
    yield from store.load_buckets(evaluation, kernel.storage.dialect, wanted, set(triggers))
    yield from store.load_children(evaluation, list(triggers.values()))
    for trigger, event in pairs:
        try:
            evaluation.take(trigger, event)
        except Exception:  # the others must not wait for ever because of one
            log.exception("trigger %s cannot be evaluated on event %s", trigger.id, event.id)
    yield from store.flush(kernel, evaluation)


def _in_order(arrived: list[Event], now: datetime) -> Unit[tuple[list[Event], list[Event], list[str]]]:
    """Events in the order of cause and effect: each as it came, or when the one that it follows has been looked at.

    Gives those to be looked at, those whose cause has not come yet, and the ids of those that have waited for one that
    has come now.
    """
    waiting: dict[str, list[Event]] = {}
    """Events that wait for others, by those."""
    batch = {event.id for event in arrived}
    unseen = batch | (yield from _unseen({e.follows for e in arrived if e.follows and e.follows not in batch}))
    parked: list[str] = []
    ids = batch
    for _ in range(CAUSES):
        rows = yield store.FOLLOWERS(ids=list(ids))
        followers = [one for one in (Event.of(cells[0]) for cells in rows) if one.id not in batch]
        for one in followers:
            waiting.setdefault(str(one.follows), []).append(one)
        parked += [one.id for one in followers]
        ids = {one.id for one in followers}
        if not ids:
            break
    ready: list[Event] = []
    early: dict[str, Event] = {}
    for event in arrived:
        if event.follows in unseen and event.follows != event.id and now - event.received < LOOKBACK:
            waiting.setdefault(str(event.follows), []).append(event)
            early[event.id] = event
            continue
        stack = [event]
        while stack:
            one = stack.pop()
            early.pop(one.id, None)
            unseen.discard(one.id)
            ready.append(one)
            stack += sorted(waiting.pop(one.id, ()), key=_place, reverse=True)
    seen = {one.id for one in ready}
    return ready, list(early.values()), [id for id in parked if id in seen]


def _place(event: Event) -> tuple[datetime, str]:
    """Where an event stands among those that have waited for the same; ids order those of one moment, as mostly in
    Prefect, where an index does.
    """
    return event.occurred, event.id


def _unseen(ids: set[str]) -> Unit[set[str]]:
    """Which events have not been looked at: they are not stored, or wait."""
    if not ids:
        return set()
    stored = {str(cells[0]) for cells in (yield store.STORED(ids=list(ids)))}
    waiting = {str(cells[0]) for cells in (yield store.WAITING(ids=list(ids)))}
    return ids - (stored - waiting)


def look_at_time(kernel: Kernel, now: datetime, keep: timedelta) -> Unit[tuple[bool, int]]:
    """What time alone brings about: followers that wait no longer, proactive triggers, buckets that are over.

    Gives whether all of it was looked at, and how often automations fired. `keep` is for how long buckets are kept
    after their end. What has not happened is known once everything that has come was looked at, so that is done first.
    """
    rows = yield store.LOCK()
    if not rows[0][0]:
        return True, 0  # another process does
    automations = yield from store.enabled_automations()
    fired = 0
    queued: list[tuple[Any, ...]] = yield store.QUEUED(count=BATCH)
    if queued:
        fired += yield from _take(kernel, automations, queued, now)
        if len(queued) == BATCH:
            return False, fired
    waited = yield store.LOST(before=now - LOOKBACK, count=LOST)
    lost = sorted((Event.of(cells[0]) for cells in waited), key=_place)
    if lost:
        evaluation = Evaluation(automations, now)
        ready, _, resolved = yield from _in_order(lost, now)
        yield from _see(kernel, evaluation, ready)
        yield store.FORGET_FOLLOWERS(ids=[event.id for event in lost] + resolved)
        fired += len(evaluation.fired)
        if len(lost) == LOST:
            return False, fired
    evaluation = Evaluation(automations, now)
    yield from _look(kernel, evaluation, now, keep)
    return True, fired + len(evaluation.fired)


def _look(kernel: Kernel, evaluation: Evaluation, now: datetime, keep: timedelta) -> Unit[None]:
    """Look at the proactive triggers that are due, and forget buckets that are over."""
    proactive = {str(one.id): one for one in evaluation.event_triggers if one.proactive}
    runs = {str(id): due for id, due in (yield store.DUE())}
    gone = [id for id in runs if id not in proactive]
    if gone:
        yield store.DELETE_DUE(ids=gone)
    # One that would be due later than it could have been put off was put off before the clock was set back.
    due = [one for id, one in proactive.items() if not now < runs.get(id, now) <= plus(now, one.within)]
    if due:
        yield from store.load_buckets(evaluation, kernel.storage.dialect, None, {str(one.id) for one in due})
        yield from store.load_children(evaluation, due)
        of_trigger: dict[str, list[Any]] = {}
        for bucket in evaluation.buckets.values():
            of_trigger.setdefault(bucket.trigger_id, []).append(bucket)
        again = []
        for one in due:
            try:
                next_time = evaluation.look(one, of_trigger.get(str(one.id), []), now)
            except Exception:
                log.exception("trigger %s cannot be evaluated", one.id)
                next_time = plus(now, one.within)
            again.append(store.row(trigger_id=str(one.id), due=next_time))
        yield from store.flush(kernel, evaluation)
        yield store.PUT_DUE.many(again)
    yield store.SWEEP(before=now - keep, keep=list(proactive))


class Triggers(Service):
    """Evaluates the triggers of automations; does next to nothing while no automation is enabled."""

    name: ClassVar[str] = "triggers"
    setting: ClassVar[str] = "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED"

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
        self._looked: datetime | None = None

    def _stored(self) -> None:
        if self._active:
            self.wake()

    async def tick(self) -> None:
        kernel = self.kernel
        was_active = self._active
        queued, self._active = await kernel.storage.read(something_to_do)
        fired = 0
        while queued:
            number, firings = await self._take()
            fired += firings
            if number < BATCH:
                break
        if self._active or queued or was_active:
            fired += await self._pass_time()
        if fired:
            kernel.events.committed()
            actions = kernel.supervisor.services.get("actions")
            if actions is not None:
                actions.wake()

    async def _take(self) -> tuple[int, int]:
        """Look at a batch of events; at each by itself where one has them fail, so that it does not hold up others."""
        try:
            return await self._write(take_events)
        except (errors.StorageUnavailable, errors.Raced):
            raise
        except errors.StorageError as error:
            log.warning("events are looked at one by one, since one makes for what cannot be stored: %s", error)
        fired = 0
        for number in range(BATCH):
            try:
                taken, firings = await self._write(take_events, 1)
            except (errors.StorageUnavailable, errors.Raced):
                raise
            except errors.StorageError:
                taken, firings = await self._write(skip_event)
            fired += firings
            if taken < 1:
                return number, fired
        return BATCH, fired

    async def _pass_time(self) -> int:
        """Look at the time, if that was not done just now; gives how often automations fired."""
        settings = self.kernel.settings.server.events
        now = self.kernel.clock.now()
        if self._looked is not None and timedelta(0) <= now - self._looked < settings.proactive_granularity:
            return 0
        fired, done = 0, False
        while not done:
            done, firings = await self._write(look_at_time, settings.expired_bucket_buffer)
            fired += firings
        self._looked = now
        return fired

    async def _write(self, unit: Any, *arguments: Any) -> Any:
        """Run an evaluation; once more when an automation was deleted meanwhile."""
        try:
            return await self.kernel.storage.write(unit, self.kernel, self.kernel.clock.now(), *arguments)
        except errors.IntegrityViolation:
            return await self.kernel.storage.write(unit, self.kernel, self.kernel.clock.now(), *arguments)
