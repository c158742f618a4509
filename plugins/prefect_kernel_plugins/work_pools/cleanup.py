"""What workers are to clean up: messages that are handed to one worker at a time, until it says that it is done.

A message that was handed out is the worker's for a time (its lease), which may be renewed. When that runs out it is
handed out again, and put aside as dead after some deliveries. Kept in memory, as Python Prefect does: what is lost with
the process is the wish to clean up, not a run. There is room for so many: what nobody fetches makes way for new.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

from prefect_kernel.stash import StashKey

from .dispatch import Dispatcher

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

    from .exchange import Exchange

WORN_OUT = "max_delivery_attempts_reached"
BATCH = 100
"""Leases that are ended in one go."""
MOST = 10_000
"""Messages that wait or are reserved, of all pools together; and as many that are dealt with, and that are dead."""

log = logging.getLogger("prefect_kernel.work_pools")


@dataclass
class Message:
    """Something to clean up. `target` and `data` are JSON objects."""

    id: str
    key: str
    pool_id: str
    kind: str
    target: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    queue_id: str | None = None
    deliveries: int = 0
    token: str | None = None
    expires: datetime | None = None
    """Until when it is reserved for who has the token."""


@dataclass
class Outcome:
    """What became of an ack, a release or a renewal."""

    status: str
    reason: str | None = None
    expires: datetime | None = None


class CleanupQueue:
    """The messages of one server process."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._settings = kernel.settings.server.worker_channel
        self.messages: dict[str, Message] = {}
        """Waiting or reserved, the oldest first."""
        self.dead: dict[str, tuple[Message, str]] = {}
        """Put aside, with the reason."""
        self._done: dict[str, tuple[Message, datetime]] = {}
        """Dealt with, and when; the oldest first."""
        self._keys: dict[tuple[str, str], str] = {}
        self._of_pool: dict[str, dict[str, Message]] = {}
        """`messages` by pool."""
        self._reserved: dict[str, Message] = {}
        """Those of `messages` that a worker has."""
        self._dropped = 0
        self.exchange: Exchange | None = None
        """Set while other server processes can be told."""
        self.dispatcher = Dispatcher(self)

    @property
    def now(self) -> datetime:
        """The present."""
        return self._kernel.clock.now()

    def enqueue(
        self,
        id: str,
        key: str,
        pool_id: str,
        kind: str,
        target: dict[str, Any],
        *,
        data: dict[str, Any] | None = None,
        queue_id: str | None = None,
    ) -> Message:
        """Take a message, unless there is or was one of that `id` or, in the pool, of that `key`."""
        self._forget_done()
        known = self._known(id) or self._known(self._keys.get((pool_id, key), ""))
        if known is None:
            known = self.messages[id] = Message(id, key, pool_id, kind, target, data or {}, queue_id)
            self._keys[(pool_id, key)] = id
            self._of_pool.setdefault(pool_id, {})[id] = known
            self._make_room()
            if self.exchange is not None and not self.dispatcher.has_workers(pool_id):
                self.exchange.offer(known)
        elif known.id == id and (known.key, known.pool_id) != (key, pool_id):
            raise ValueError(f"message {id} is another one")
        if known.id in self.messages and known.token is None:
            self.dispatcher.wake(pool_id)
        return known

    def offer(self, pool_id: str, most: int) -> None:
        """Tell other server processes of what waits for a pool that has no worker here."""
        if self.exchange is None or self.dispatcher.has_workers(pool_id):
            return
        waiting = (one for one in self._of_pool.get(pool_id, {}).values() if one.token is None)
        for message in islice(waiting, most):
            self.exchange.offer(message)

    def _known(self, id: str) -> Message | None:
        if id in self.messages:
            return self.messages[id]
        if id in self.dead:
            return self.dead[id][0]
        return self._done[id][0] if id in self._done else None

    def _forget_done(self) -> None:
        """Messages that were dealt with are known for some time, where a setting says so."""
        seconds = self._settings.cleanup_completed_idempotency_retention_seconds
        horizon = None if seconds is None else self.now - timedelta(seconds=seconds)
        while self._done:
            id, (message, done) = next(iter(self._done.items()))
            if len(self._done) <= MOST and (horizon is None or done > horizon):
                return
            del self._done[id]
            self._forget_key(message)

    def _forget_key(self, message: Message) -> None:
        if self._keys.get((message.pool_id, message.key)) == message.id:
            del self._keys[(message.pool_id, message.key)]

    def _make_room(self) -> None:
        """Drop the oldest of the messages that wait, when there are too many."""
        while len(self.messages) > MOST:
            message = next((one for one in self.messages.values() if one.token is None), None)
            if message is None:
                return  # workers have all of them
            self._remove(message)
            self._forget_key(message)
            if self._dropped % MOST == 0:
                log.warning("more than %s messages wait to be cleaned up; the oldest are dropped", MOST)
            self._dropped += 1

    def _remove(self, message: Message) -> None:
        """A message neither waits nor is reserved any longer."""
        del self.messages[message.id]
        self._reserved.pop(message.id, None)
        of_pool = self._of_pool[message.pool_id]
        del of_pool[message.id]
        if not of_pool:
            del self._of_pool[message.pool_id]

    def reserve(self, pool_id: str, kinds: Collection[str], queue_ids: Collection[str] | None) -> Message | None:
        """The oldest waiting message of these kinds, now reserved; with `queue_ids` only of those queues."""
        self.expire(BATCH, pool_id)
        for message in list(self._of_pool.get(pool_id, {}).values()):
            if message.token is not None or message.kind not in kinds:
                continue
            if queue_ids is not None and message.queue_id not in queue_ids:
                continue
            if message.deliveries >= self._settings.cleanup_max_delivery_attempts:
                self._put_aside(message)
                continue
            message.deliveries += 1
            message.token, message.expires = token_urlsafe(32), self._lease()
            self._reserved[message.id] = message
            return message
        return None

    def _lease(self) -> datetime:
        return self.now + timedelta(seconds=self._settings.cleanup_lease_seconds)

    def _put_aside(self, message: Message) -> None:
        message.token = message.expires = None
        self._remove(message)
        self.dead[message.id] = (message, WORN_OUT)
        while len(self.dead) > MOST:
            oldest, _ = self.dead.pop(next(iter(self.dead)))
            self._forget_key(oldest)

    def _give_back(self, message: Message) -> bool:
        """End a reservation; False when the message was delivered too often."""
        if message.deliveries >= self._settings.cleanup_max_delivery_attempts:
            self._put_aside(message)
            return False
        message.token = message.expires = None
        self._reserved.pop(message.id, None)
        return True

    def _refused(self, pool_id: str, id: str, token: str) -> Outcome | None:
        """Why somebody has no say about a message, or None."""
        message = self.messages.get(id)
        if message is None:
            return Outcome("not_found", "message_not_found")
        if message.pool_id != pool_id:
            return Outcome("unauthorized", "work_pool_mismatch")
        if message.token is None or message.expires is None:
            return Outcome("not_current", "no_active_reservation")
        if message.token != token:
            return Outcome("invalid_token", "reservation_token_mismatch")
        if message.expires > self.now:
            return None
        if not self._give_back(message):
            return Outcome("dead_lettered", WORN_OUT)
        self.dispatcher.wake(pool_id)
        return Outcome("expired", "lease_expired")

    def ack(self, pool_id: str, id: str, token: str) -> Outcome:
        """A message was dealt with."""
        refused = self._refused(pool_id, id, token)
        if refused is not None:
            return refused
        message = self.messages[id]
        self._remove(message)
        self._done[id] = (message, self.now)
        self._forget_done()
        return Outcome("accepted")

    def release(self, pool_id: str, id: str, token: str) -> Outcome:
        """A message is given back, and handed out again."""
        refused = self._refused(pool_id, id, token)
        if refused is not None:
            return refused
        if not self._give_back(self.messages[id]):
            return Outcome("dead_lettered", WORN_OUT)
        self.dispatcher.wake(pool_id)
        return Outcome("accepted")

    def renew(self, pool_id: str, id: str, token: str) -> Outcome:
        """A message is kept for another lease."""
        refused = self._refused(pool_id, id, token)
        if refused is not None:
            return refused
        message = self.messages[id]
        message.expires = self._lease()
        return Outcome("accepted", expires=message.expires)

    def expire(self, limit: int, pool_id: str | None = None) -> int:
        """End leases that have run out, at most `limit`; how many."""
        now, ended = self.now, 0
        for message in list(self._reserved.values()):
            if message.expires is None or message.expires > now or pool_id not in (None, message.pool_id):
                continue
            if self._give_back(message):
                self.dispatcher.wake(message.pool_id)
            ended += 1
            if ended >= limit:
                break
        return ended


QUEUE = StashKey[CleanupQueue]("the messages about what workers are to clean up")


def queue_of(kernel: Kernel) -> CleanupQueue:
    """The messages of a kernel's process."""
    if QUEUE not in kernel.stash:
        kernel.stash[QUEUE] = CleanupQueue(kernel)
    return kernel.stash[QUEUE]
