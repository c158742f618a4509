"""Handing messages to connected workers: first to those whose queues they are of, then to any, in turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .cleanup import CleanupQueue, Message

log = logging.getLogger("prefect_kernel.work_pools")

LOOK_AGAIN = 1.0
"""Seconds after which leases that have run out are noticed without anybody saying so."""

Worker = tuple[str, str, str]
"""Pool, consumer and name: what a worker has in its hands is its own also when it connects anew."""


class Recipient(Protocol):
    """A connected worker."""

    pool_id: str
    key: Worker
    kinds: Collection[str]
    queue_ids: Collection[str]
    most: int
    """How many messages it takes at a time."""

    async def deliver(self, message: Message) -> bool:
        """Send a message; False when it did not get there."""
        ...


class Dispatcher:
    """Who is connected, and what they have in their hands."""

    def __init__(self, queue: CleanupQueue) -> None:
        self._queue = queue
        self._recipients: dict[str, list[Recipient]] = {}
        self._in_hand: dict[Worker, dict[str, datetime]] = {}
        """Worker -> token -> when its lease ends."""
        self._events: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def join(self, recipient: Recipient) -> None:
        """A worker that was sent `worker.ready` takes part."""
        pool = recipient.pool_id
        self._recipients.setdefault(pool, []).append(recipient)
        if pool not in self._tasks:
            self._events[pool] = asyncio.Event()
            self._tasks[pool] = asyncio.create_task(self._run(pool), name=f"cleanup {pool}")
        self._events[pool].set()

        if self._queue.exchange is not None:
            self._queue.exchange.ask(pool)

    def has_workers(self, pool_id: str) -> bool:
        """Whether a worker of a pool is connected to this process."""
        return bool(self._recipients.get(pool_id))

    def ask_again(self) -> None:
        """Other processes may have something for workers that are connected here."""
        if self._queue.exchange is not None:
            for pool_id in self._recipients:
                self._queue.exchange.ask(pool_id)

    def leave(self, recipient: Recipient) -> None:
        """A worker is gone."""
        pool = recipient.pool_id
        others = [one for one in self._recipients.get(pool, []) if one is not recipient]
        self._recipients[pool] = others
        if not others:
            del self._recipients[pool]
            self._events.pop(pool, None)
            task = self._tasks.pop(pool, None)
            if task is not None:
                task.cancel()

    def wake(self, pool_id: str) -> None:
        """There may be something to hand out."""
        event = self._events.get(pool_id)
        if event is not None:
            event.set()

    def keep(self, recipient: Recipient, token: str, expires: datetime) -> None:
        """A worker has a message for longer."""
        if token in (in_hand := self._in_hand.get(recipient.key, {})):
            in_hand[token] = expires

    def forget(self, recipient: Recipient, token: str) -> None:
        """A worker does not have a message any more."""
        if self._in_hand.get(recipient.key, {}).pop(token, None) is not None:
            self.wake(recipient.pool_id)

    def _room(self, recipient: Recipient) -> bool:
        now = self._queue.now
        in_hand = {token: end for token, end in self._in_hand.get(recipient.key, {}).items() if end > now}
        if in_hand:
            self._in_hand[recipient.key] = in_hand
        else:
            self._in_hand.pop(recipient.key, None)
        return len(in_hand) < recipient.most

    async def _run(self, pool_id: str) -> None:
        while True:
            event = self._events[pool_id]
            event.clear()
            try:
                while await self._hand_out(pool_id):
                    pass
            except Exception:
                log.exception("handing out what is to be cleaned up failed")
            try:
                await asyncio.wait_for(event.wait(), LOOK_AGAIN)
            except TimeoutError:
                continue

    async def _hand_out(self, pool_id: str) -> bool:
        """Hand out one message; False when nobody can take one, or there is none."""
        able = [one for one in self._recipients.get(pool_id, ()) if self._room(one)]
        for own in (True, False):
            for recipient in able:
                if own and not recipient.queue_ids:
                    continue
                message = self._queue.reserve(pool_id, recipient.kinds, recipient.queue_ids if own else None)
                if message is None:
                    continue
                token = message.token or ""
                if message.expires is not None:
                    self._in_hand.setdefault(recipient.key, {})[token] = message.expires
                if await recipient.deliver(message):
                    self._last(recipient)
                    return True
                self._in_hand.get(recipient.key, {}).pop(token, None)
                self._queue.release(pool_id, message.id, token)
        return False

    def _last(self, recipient: Recipient) -> None:
        """The others come first next time."""
        others = self._recipients.get(recipient.pool_id, [])
        if recipient in others:
            others.remove(recipient)
            others.append(recipient)
