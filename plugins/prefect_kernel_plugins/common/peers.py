"""What brokers between processes have in common: who is there, who wants what, and whether anything was lost.

Each process tells the others every few seconds that it is there and which topics somebody listens to in it; a message
goes out only when it is wanted elsewhere. What a process sends is numbered, so that others see when something is
missing, whatever has become of it: their subscribers are then told (`Missed`), and look into the database. They are
also told when a process falls silent, as it may have died between a commit and the message about it; when somebody
begins to listen, as others did not know that before; and now and then while the others cannot be heard.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from prefect_kernel.ids import uuid4
from prefect_kernel.ports.broker import as_topic

from .fanout import FanOut
from .pauses import Pauses

log = logging.getLogger("prefect_kernel.broker")

BEAT, IDLE_BEAT = 2.0, 10.0
"""Seconds between two signs of life, and while there is nobody else."""
SILENT = 8.0
"""Seconds after which a process that says nothing may be dead."""
FORGET = 600.0
"""Seconds after which a dead process is forgotten."""
LOOK = 5.0
"""Seconds between two looks into the database while other processes are not heard."""
RETRY, LONGEST_RETRY = 0.5, 5.0
"""Pause after a first failure, and the longest one after many."""
STEADY = 10.0
"""Seconds that a connection must have lasted for its end to be a first failure."""
CLOSE_SECONDS = 3.0
"""How long the end may wait for what is to be sent, and again for calls under way."""
MARGIN = 1.0
"""Seconds by which the beginning of a gap is put earlier than it seems to be."""
MESSAGE_BYTES = 64 * 1024
"""A larger message is not sent: its subscribers are told to look into the database."""
WAITING = 1000
"""Messages that may wait to be sent; the oldest give way."""


class Transport(Protocol):
    """Carries frames (UTF-8 without NUL) to all processes, this one included, in one order for all."""

    name: str

    async def run(self, receive: Callable[[bytes], None], heard: Callable[[], None]) -> None:
        """Receive frames until something breaks, which is raised; `heard` is called when none is lost any more.

        It must notice within seconds that nothing can come.
        """
        ...

    async def send(self, frames: list[bytes]) -> None:
        """Send frames. Raises, and soon, when they may not have been sent."""
        ...

    async def ping(self) -> None:
        """Return when there is somebody to send to."""
        ...

    async def close(self) -> None:
        """Close connections, upon which calls that are under way fail. May be called twice."""
        ...


@dataclass
class Peer:
    """Another process."""

    sequence: int
    seen: float
    alive: bool = True
    wants: set[str] = field(default_factory=set)
    dropped: dict[str, float] = field(default_factory=dict)
    """Topics that it wanted when it fell silent, and when it was last heard."""


class PeerBroker(FanOut):
    """Fan-out within this process, and to others over a transport."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self.id = uuid4()
        self._transport = transport
        self._peers: dict[str, Peer] = {}
        self._wanted: set[str] = set()
        self._out: deque[bytes] = deque(maxlen=WAITING)
        self._sequence = 0
        self._filled = asyncio.Event()
        self._hurry = asyncio.Event()
        self._idle = asyncio.Event()
        self._unheard = asyncio.Event()
        """Set when nobody can be heard any more."""
        self._reachable = asyncio.Event()
        """Others have just been heard again."""
        self._echo = 0.0
        """When this process last heard itself."""
        self._complete = time.monotonic()
        """Up to when nothing was lost, while others are not heard."""
        self._heard = self._complained = False
        self._calls: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------ what the port wants
    async def publish(self, topic: str, message: Any) -> None:
        self.put(topic, message)
        if topic not in self._wanted:
            return
        body = as_topic(topic).pack(message)
        if len(body) > MESSAGE_BYTES:
            self._tell_missed("*", {topic: MARGIN})
        else:
            self._append("m", topic, body)

    async def ping(self) -> None:
        """See `Broker.ping`."""
        await self._transport.ping()

    def gauges(self) -> dict[str, float]:
        """How it is, for metrics."""
        alive = sum(peer.alive for peer in self._peers.values())
        return {"heard": float(self._heard), "peers": alive, "waiting": len(self._out)}

    def changed(self) -> None:
        self._hurry.set()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[PeerBroker]:
        """Take part until the end."""
        tasks = [
            asyncio.create_task(part, name=f"broker {self._transport.name}")
            for part in (self._listening(), self._sending(), self._beating())
        ]
        try:
            yield self
        finally:
            tasks[2].cancel()
            await self._say_goodbye()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # Calls end because their connections are closed; clients do not take it well to be cancelled.
            await self._transport.close()
            if self._calls:
                _, hanging = await asyncio.wait(self._calls, timeout=CLOSE_SECONDS)
                for call in hanging:
                    call.cancel()
                await asyncio.gather(*hanging, return_exceptions=True)
                await self._transport.close()

    async def _call(self, call: Coroutine[Any, Any, None]) -> None:
        """Await what the transport does, without passing on that this task is cancelled."""
        task = asyncio.ensure_future(call)
        self._calls.add(task)
        task.add_done_callback(self._called)
        await asyncio.shield(task)

    def _called(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also when nobody waits for it any more

    async def _say_goodbye(self) -> None:
        """Send what waits, unless nobody can be reached."""
        if not self._heard:
            return
        self._append("x", "", b"")
        waits = [asyncio.ensure_future(event.wait()) for event in (self._idle, self._unheard)]
        await asyncio.wait(waits, timeout=CLOSE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if not self._idle.is_set():
            log.warning("%d messages could not be sent before the end", len(self._out))

    # ------------------------------------------------------------ out
    def _append(self, kind: str, topic: str, body: bytes) -> None:
        self._sequence += 1
        head = orjson.dumps([self.id, self._sequence, kind, topic])
        self._out.append(head + b"\n" + body)
        self._idle.clear()
        self._filled.set()

    def _tell_missed(self, whom: str, topics: dict[str, float | None]) -> None:
        """Say that messages may be lost: for how many seconds, or since they have begun to listen (None)."""
        self._append("g", "", orjson.dumps({"for": whom, "topics": {str(name): age for name, age in topics.items()}}))

    async def _sending(self) -> None:
        pauses = Pauses(RETRY, LONGEST_RETRY)
        while True:
            await self._filled.wait()
            self._filled.clear()
            frames = list(self._out)
            self._out.clear()
            self._reachable.clear()
            try:
                await self._call(self._transport.send(frames))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                self._complain(error)
                self._out = deque([*frames, *self._out], maxlen=WAITING)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._reachable.wait(), pauses.next())
                self._filled.set()
                continue
            pauses.reset()
            if not self._out:
                self._idle.set()

    def _complain(self, error: BaseException) -> None:
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        log.log(
            logging.DEBUG if self._complained else logging.WARNING,
            "other processes cannot be reached over %s (%s); streams look into the database until they can",
            self._transport.name,
            said,
        )
        self._complained = True

    # ------------------------------------------------------------ signs of life
    async def _beating(self) -> None:
        while True:
            self._hurry.clear()
            if self._heard:
                self._append("b", "", orjson.dumps({"wants": [str(name) for name in self.topics]}))
            try:
                others = any(peer.alive for peer in self._peers.values())
                async with asyncio.timeout(BEAT if others or not self._heard else IDLE_BEAT):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._look()

    def _look(self) -> None:
        """Notice who has fallen silent; while nobody can be heard, send subscribers to the database."""
        now = time.monotonic()
        hearing = self._heard
        if hearing and now - self._echo > IDLE_BEAT + SILENT:
            self._complain(TimeoutError("what is sent does not come back"))
            hearing = False
        for id, peer in list(self._peers.items()):
            silent = now - peer.seen
            if silent > FORGET:
                del self._peers[id]
            elif silent > SILENT and peer.alive:
                peer.alive = False
                peer.dropped |= dict.fromkeys(peer.wants, peer.seen)
                peer.wants = set()
                self._count_wanted()
                if hearing:
                    self.miss(peer.seen - MARGIN)
        if not hearing and now - self._complete > LOOK:
            self.miss(self._complete - MARGIN)
            self._complete = now

    def _count_wanted(self) -> None:
        self._wanted = set().union(*(peer.wants for peer in self._peers.values()))

    # ------------------------------------------------------------ in
    async def _listening(self) -> None:
        pauses = Pauses(RETRY, LONGEST_RETRY)
        while True:
            began = time.monotonic()
            try:
                await self._call(self._transport.run(self._receive, self._hear))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                self._complain(error)
            if self._heard:
                if time.monotonic() - began > STEADY:
                    pauses.reset()
                self._heard = False
                self._complete = time.monotonic() - SILENT
                self._hurry.set()
                self._unheard.set()
            await asyncio.sleep(pauses.next())

    def _hear(self) -> None:
        """From now on nothing is lost."""
        self._heard, self._echo = True, time.monotonic()
        self._unheard.clear()
        self._reachable.set()
        if self._complained:
            log.warning("other processes can be reached over %s again", self._transport.name)
            self._complained = False
        self.miss(self._complete - MARGIN)
        self._hurry.set()

    def _receive(self, frame: bytes) -> None:
        head, _, body = frame.partition(b"\n")
        try:
            origin, sequence, kind, topic = orjson.loads(head)
            told = orjson.loads(body) if kind in "bg" else {}
        except (ValueError, TypeError):
            log.warning("something that is no message came over %s", self._transport.name)
            return
        now = time.monotonic()
        if origin == self.id:
            self._echo = now
            return
        peer = self._peers.get(origin)
        if peer is None:
            peer = self._peers[origin] = Peer(sequence, now)
            self._hurry.set()  # it should know who is here
        elif sequence <= peer.sequence:
            return  # sent again
        elif sequence != peer.sequence + 1 or now - peer.seen > SILENT:
            self.miss(peer.seen - MARGIN)
        peer.sequence, peer.seen, peer.alive = sequence, now, True
        if kind == "m":
            self._take(topic, body)
        elif kind == "b":
            self._note(origin, peer, set(told["wants"]), now)
        elif kind == "g" and told["for"] in ("*", self.id):
            for name, age in told["topics"].items():
                self.miss(0.0 if age is None else now - age - MARGIN, name)
        elif kind == "x":
            del self._peers[origin]
            self._count_wanted()

    def _take(self, name: str, body: bytes) -> None:
        topic = self.topic(name)
        if topic is None:
            return
        try:
            message = topic.unpack(body)
        except Exception:
            log.exception("a message of topic %s cannot be read; is another version running?", name)
            self.miss(time.monotonic() - MARGIN, name)
            return
        self.put(name, message)

    def _note(self, origin: str, peer: Peer, wants: set[str], now: float) -> None:
        """What a process wants; what it has not wanted until now, it may have missed."""
        new = wants - peer.wants
        if wants != peer.wants:
            peer.wants = wants
            self._count_wanted()
        if new:
            at = {name: peer.dropped.pop(name, None) for name in new}
            self._tell_missed(origin, {name: None if then is None else now - then for name, then in at.items()})
