"""The actions service: does what firings have left to be done.

An action is a row. Who does it claims it for a while by putting off when it is due; who dies while doing it does not
come back in time, and another tries it again. That it was done, and the events that tell so, are one transaction. Where
doing something twice would matter, the action's id goes along: as the idempotency key of a flow run, or of a webhook.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import orjson
import sqlalchemy as sa

from prefect_kernel import Service, errors
from prefect_kernel.sql import Statement, Unit, in_list, point_read
from prefect_kernel.sql.types import UUID, Timestamp

from . import firings, kinds
from .acting import ACTIONS, Invocation, action_events
from .calling import ActionFailed, TryAgain
from .tables import automation_action, automation_firing

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

log = logging.getLogger("prefect_kernel.automations")

BATCH = 20
"""Actions that a process has claimed at most; those of different firings are done at the same time."""

CLAIM = timedelta(seconds=12)
"""How long a claim holds; who does the action renews it, so this is how long that of a dead process is waited for."""

RENEW_SECONDS = 3.0
"""How often claims are renewed."""

RETRY_SECONDS = 0.5
"""How soon what could not be written is written again, while the database is away."""

MAX_ATTEMPTS = 8
"""How often an action is tried that cannot be done for now."""

BACKOFF = timedelta(seconds=2)
"""Pause before the second attempt; doubled each time."""

LONGEST = timedelta(minutes=5)
"""Longer than an action is ever put off: one that is due later was put off before the clock was set back."""

FORGET_EVERY = timedelta(hours=1)
"""How often firings that are past their time are deleted."""

Claimed = tuple[Invocation, str, int]
"""An action to be done, the id of its firing, and how often it was tried before."""

_action, _firing = automation_action, automation_firing
_NOW = sa.bindparam("now", type_=Timestamp())
_DUE = Statement(
    sa.select(
        _action.c.id,
        _action.c.number,
        _action.c.action,
        _action.c.event,
        _action.c.attempts,
        _firing.c.id,
        _firing.c.automation,
        _firing.c.firing,
        _firing.c.event_id,
    )
    .join(_firing, _firing.c.id == _action.c.firing_id)
    .where(_action.c.status == "pending", _action.c.due <= _NOW)
    .order_by(_action.c.due, _action.c.id)
    .limit(sa.bindparam("count", type_=sa.Integer()))
    .with_for_update(skip_locked=True, of=_action)
)
_ANY_DUE = Statement(sa.select(_action.c.id).where(_action.c.status == "pending", _action.c.due <= _NOW).limit(1))
_CLAIM = Statement(
    sa.update(_action)
    .values(due=sa.bindparam("until", type_=Timestamp()), attempts=_action.c.attempts + 1)
    .where(in_list(_action.c.id, "ids"))
)
_RENEW = Statement(
    sa.update(_action)
    .values(due=sa.bindparam("until", type_=Timestamp()))
    .where(in_list(_action.c.id, "ids"), _action.c.status == "pending")
)
_END = Statement(
    sa.update(_action)
    .values(
        status=sa.bindparam("new_status", type_=sa.String()),
        error=sa.bindparam("new_error", type_=sa.Text()),
        due=sa.bindparam("new_due", type_=Timestamp()),
        updated=_NOW,
    )
    .where(_action.c.id == sa.bindparam("action_id", type_=UUID()), _action.c.status == "pending")
)


_RECOVER = Statement(
    sa.update(_action)
    .values(due=_NOW)
    .where(_action.c.status == "pending", _action.c.due > sa.bindparam("latest", type_=Timestamp()))
)


@point_read
def any_due(now: datetime) -> Unit[bool]:
    """Whether there is something to do."""
    rows = yield _ANY_DUE(now=now)
    return bool(rows)


def claim(kernel: Kernel, now: datetime, count: int = BATCH) -> Unit[list[Claimed]]:
    """Take actions that are due, so that nobody else does."""
    rows = yield _DUE(now=now, count=count)
    if not rows:
        return []
    yield _CLAIM(ids=[str(cells[0]) for cells in rows], until=now + CLAIM)
    found = []
    for id, number, action, event, attempts, firing_id, automation, firing, event_id in rows:
        one = Invocation(
            kernel,
            str(id),
            number,
            orjson.loads(action),
            orjson.loads(automation),
            orjson.loads(firing),
            None if event is None else orjson.loads(event),
            str(event_id),
        )
        found.append((one, str(firing_id), attempts))
    return found


def recover(now: datetime) -> Unit[None]:
    """Let actions be done that were put off by a clock that was ahead."""
    yield _RECOVER(now=now, latest=now + LONGEST)


def renew(ids: list[str], until: datetime) -> Unit[None]:
    """Hold claims for longer."""
    yield _RENEW(ids=ids, until=until)


def end(one: Invocation, status: str, error: str | None, now: datetime) -> Unit[bool]:
    """Record how an action went, and tell it; False when somebody else has recorded it before."""
    changed = yield _END(action_id=one.id, new_status=status, new_error=error, new_due=now, now=now)
    if not changed:
        return False
    if one.kernel.events.wanted:
        yield one.kernel.events.calls(action_events(one, now, error if status != "done" else None))
    return True


def put_off(one: Invocation, error: str, due: datetime, now: datetime) -> Unit[None]:
    """Have an action tried again later."""
    yield _END(action_id=one.id, new_status="pending", new_error=error, new_due=due, now=now)


class Actions(Service):
    """Does the actions of automations."""

    name: ClassVar[str] = "actions"
    setting: ClassVar[str] = "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED"

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        return bool(settings.server.services.triggers.enabled)

    @classmethod
    def every(cls, settings: Any) -> float:
        return 1.0

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self._forgot: datetime | None = None
        self._last: datetime | None = None
        self._held: set[str] = set()
        """The actions that are claimed and not yet done."""
        self._left: set[str] = set()
        """Those of them that are put off, which is not to be undone by renewing their claims."""

    async def tick(self) -> None:
        storage, clock = self.kernel.storage, self.kernel.clock
        now = clock.now()
        if self._last is None or now < self._last:
            await storage.write(recover, now)
            self._forgot = None
        self._last = now
        if self._forgot is None or clock.now() - self._forgot >= FORGET_EVERY:
            await firings.forget_old(self.kernel)
            self._forgot = clock.now()
        await self._do_all()

    async def _do_all(self) -> None:
        """Do what there is to do. One action that takes long holds up those after it in its firing, and no others."""
        turns: dict[str, deque[Claimed]] = {}
        tasks: set[asyncio.Task[None]] = set()
        holding = asyncio.create_task(self._hold())
        try:
            while True:
                self._woken.clear()
                for claimed in await self._more(busy=bool(tasks)):
                    firing_id = claimed[1]
                    if firing_id in turns:
                        turns[firing_id].append(claimed)
                    else:
                        turns[firing_id] = deque([claimed])
                        tasks.add(asyncio.create_task(self._in_turn(turns, firing_id)))
                if not tasks:
                    return
                await self._wait(tasks)
                done = {task for task in tasks if task.done()}
                tasks -= done
                for task in done:
                    task.result()
                if done and self.began is not None:
                    self.began = self.kernel.clock.now()  # it goes on, however long there is more to do
        finally:
            for task in (holding, *tasks):
                task.cancel()
            self._held.clear()
            self._left.clear()

    async def _more(self, *, busy: bool) -> list[Claimed]:
        """Further actions to be done. While the database is away there are none; what is under way goes on."""
        try:
            return await self._claim(BATCH - len(self._held))
        except errors.StorageUnavailable:
            if not busy:
                raise
            return []

    async def _claim(self, room: int) -> list[Claimed]:
        """Take as many actions as there is room for, those of a firing in their order."""
        storage, clock = self.kernel.storage, self.kernel.clock
        if not room or not await storage.read(any_due, clock.now()):
            return []
        claimed: list[Claimed] = await storage.write(claim, self.kernel, clock.now(), room)
        # One's own claims run out while the database is away; what is under way must not be begun once more.
        claimed = [item for item in claimed if item[0].id not in self._held]
        self._held |= {one.id for one, _, _ in claimed}
        return sorted(claimed, key=_number)

    async def _wait(self, tasks: set[asyncio.Task[None]]) -> None:
        """Wait until something is done, or until there may be more to do."""
        woken = asyncio.create_task(self._woken.wait())
        try:
            await asyncio.wait({*tasks, woken}, timeout=self.interval, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()

    async def _hold(self) -> None:
        """Renew claims for as long as it takes; at once when the database is there again, before others take them."""
        pause = RENEW_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = RETRY_SECONDS
            with contextlib.suppress(errors.StorageError):
                held = list(self._held - self._left)
                await self.kernel.storage.write(renew, held, self.kernel.clock.now() + CLAIM)
                pause = RENEW_SECONDS

    async def _in_turn(self, turns: dict[str, deque[Claimed]], firing_id: str) -> None:
        while turns[firing_id]:
            one, _, attempts = turns[firing_id].popleft()
            await self._perform(one, attempts + 1)
        del turns[firing_id]

    async def _perform(self, one: Invocation, attempt: int) -> None:
        """Do one action, and record how it went."""
        status, error = "done", None
        try:
            await _act(one)
        except ActionFailed as failure:
            status, error = "failed", str(failure)
        except (TryAgain, Exception) as failure:
            error = f"{type(failure).__name__}: {failure}"
            if not isinstance(failure, TryAgain | errors.StorageUnavailable):
                log.exception("action %s of automation %s", one.kind, one.automation["id"])
            if attempt < MAX_ATTEMPTS:
                status = "pending"
            else:
                status = "dead"
        if status == "pending":
            self._left.add(one.id)
        try:
            await self._record(one, status, error, attempt)
        finally:
            self._held.discard(one.id)
            self._left.discard(one.id)

    async def _record(self, one: Invocation, status: str, error: str | None, attempt: int) -> None:
        """Write how an action went, however long the database is away: who only tried again would do it twice."""
        storage, waits = self.kernel.storage, False
        while True:
            now = self.kernel.clock.now()
            try:
                if status == "pending":
                    await storage.write(put_off, one, error or "", now + BACKOFF * 2 ** (attempt - 1), now)
                else:
                    await storage.write(end, one, status, error, now)
                    self.kernel.events.committed()
                return
            except errors.StorageUnavailable as failure:
                if not waits:
                    log.warning("how action %s went is recorded when the database is back: %s", one.id, failure)
                waits = True
                await asyncio.sleep(RETRY_SECONDS)
            except Exception as failure:
                log.exception("how action %s went cannot be recorded", one.id)
                if not (one.details or one.related):
                    return
                # What it says of itself cannot be written. It is over all the same, and must not be done for ever.
                one.details, one.related = {}, []
                if status != "done":
                    status, error = "dead", f"{type(failure).__name__}: what came of it cannot be recorded"


async def _act(one: Invocation) -> None:
    """Do an action of whatever kind."""
    if one.kind in ACTIONS:
        await ACTIONS[one.kind](one)
        return
    kind: Any = kinds.of_plugins(kinds.ACTIONS, one.kind)
    if kind is None:
        raise ActionFailed(f"There is no kind of action {one.kind!r}: the plugin that brought it is not loaded")
    action = kind.model_validate(one.action)
    async with asyncio.timeout(action.timeout_seconds):
        await action.act(one)


def _number(item: Claimed) -> int:
    return item[0].number
