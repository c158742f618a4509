"""The broker port: messages to who listens in this and other processes.

A broker carries nothing that must not be lost: what happened is in the database before a message says so, and work that
only one process may do is claimed there. So a message may get lost, when a network is away or a reader is slow; but who
asks for it is told, and looks into the database.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from ..sql.types import may_hold_wide_integers
from ..web.reply import dumps


def _loads(data: bytes) -> Any:
    # orjson would make a float of an integer beyond 64 bits.
    return json.loads(data) if may_hold_wide_integers(data) else orjson.loads(data)


class Topic(str):
    """The name of a topic, and how its messages are written for other processes; a plain name's are JSON values.

    Within a process messages are handed over as they are, and must not be changed by who gets them.
    """

    pack: Callable[[Any], bytes]
    unpack: Callable[[bytes], Any]

    def __new__(cls, name: str, pack: Callable[[Any], bytes] = dumps, unpack: Callable[[bytes], Any] = _loads) -> Topic:
        """A topic. `pack` gives text in UTF-8, without NUL characters."""
        topic = super().__new__(cls, name)
        topic.pack, topic.unpack = pack, unpack
        return topic


def as_topic(name: str) -> Topic:
    """A topic for a name."""
    return name if isinstance(name, Topic) else Topic(name)


@dataclass(frozen=True)
class Missed:
    """In place of messages that may have been lost: none of them was published before `since` (`time.monotonic`)."""

    since: float


class Broker(Protocol):
    """Fan-out of short messages. What must not be lost is in the database; a message only says that it is there."""

    async def publish(self, topic: str, message: Any) -> None:
        """Hand a message to every current subscriber of a topic, in this and other processes.

        It waits for nobody, and is no error when other processes cannot be reached.
        """
        ...

    def subscribe(
        self, topic: str, *, limit: int = 1000, gaps: bool = False
    ) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
        """The messages of a topic from now on; those of one process in the order in which it has published them.

        A subscriber more than `limit` behind loses the oldest. With `gaps` it gets a `Missed` wherever messages may
        have been lost, whatever the reason; when it is behind, one in the place of everything that waits for it.
        """
        ...

    async def ping(self) -> None:
        """Return when other processes can be reached. Raises an error that says why not."""
        ...


@dataclass(frozen=True)
class BrokerDriver:
    """A named way to open a broker; `aliases` are Prefect's module names for it."""

    name: str
    open: Callable[[Any], AbstractAsyncContextManager[Broker]]
    """Called with the settings. It does not wait for what is away: a server starts without its broker, too."""
    aliases: tuple[str, ...] = ()
    shared: bool = True
    """False when messages stay in this process, so that several workers must not use it."""
    default_on: Sequence[str] = ()
    """Names of the storages on which it is taken when no setting names a broker."""
