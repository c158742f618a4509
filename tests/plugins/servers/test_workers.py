"""Real processes: one server that is told to stop, and several on one socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from prefect_kernel.ports.server import ending
from tests.plugins.servers.support import PATIENCE, Wire

PROGRAM = Path(__file__).with_name("worker_program.py")


class Program:
    """The running program."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.port = 0
        self.pids: list[int] = []

    async def line(self) -> list[str]:
        """The next line that it prints; empty at the end."""
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)).decode().split()

    async def expect(self, word: str) -> int:
        """The next line, which must begin with `word`; gives its number."""
        line = await self.line()
        assert line[:1] == [word], line
        return int(line[1])

    async def ask(self, path: str = "/") -> Wire:
        """Send a request; the caller reads the response."""
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port))
        wire.send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        return wire

    async def pid(self) -> int:
        """The process that answers a request."""
        wire = await self.ask()
        body = (await wire.response()).body
        await wire.close()
        return int(body)

    async def ended(self) -> tuple[int, str]:
        """Exit status, and what it wrote on stderr."""
        assert self.process.stderr is not None
        errors = await asyncio.wait_for(self.process.stderr.read(), PATIENCE)
        return await asyncio.wait_for(self.process.wait(), PATIENCE), errors.decode()


@asynccontextmanager
async def program(count: int, mode: str = "serve") -> AsyncIterator[Program]:
    """Run the program; ready to serve, unless it refuses."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, str(count), mode, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    running = Program(process)
    try:
        running.port = await running.expect("listening")
        if mode != "refuse":
            running.pids = [await running.expect("ready") for _ in range(max(count, 1))]
        yield running
    finally:
        for pid in running.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]  # else the pipes are reported as leaked


@pytest.fixture
def terminal() -> Iterator[None]:
    """A terminal that can be closed, also where the tests themselves were told to outlive theirs (`nohup`)."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("count", [0, 2], ids=["alone", "workers"])
@pytest.mark.asyncio
async def test_signal_drains(number: signal.Signals, count: int) -> None:
    """SIGTERM, SIGINT and SIGHUP let a request under way finish, refuse new connections, and end with status 0."""
    async with program(count) as running:
        wire = await running.ask("/slow")
        busy = await running.expect("begun")
        running.process.send_signal(number)
        for _ in range(max(count, 1) - 1):
            await running.expect("ended")
        os.kill(busy, signal.SIGUSR1)
        assert (await wire.response()).body == str(busy).encode()
        await wire.close()
        await running.expect("ended")
        assert await running.ended() == (0, "")
        with pytest.raises(ConnectionError):
            await running.ask()


@pytest.mark.usefixtures("terminal")
def test_what_ends_a_server() -> None:
    """A terminal that is closed ends it in good order, unless it was started to outlive that (`nohup`)."""
    assert signal.SIGHUP in ending()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert ending() == [signal.SIGTERM, signal.SIGINT]


@pytest.mark.asyncio
async def test_workers_share_the_socket() -> None:
    """Each of the workers gets connections."""
    async with program(2) as running:
        seen: set[int] = set()
        async with asyncio.timeout(PATIENCE):
            while len(seen) < 2:
                seen.update(await asyncio.gather(*[running.pid() for _ in range(20)]))
        assert seen == set(running.pids)


@pytest.mark.asyncio
async def test_dead_worker_is_replaced() -> None:
    """A worker that is killed is replaced by another, which serves; the others go on meanwhile."""
    async with program(2) as running:
        os.kill(running.pids[0], signal.SIGKILL)
        running.pids.append(await running.expect("ready"))
        os.kill(running.pids[1], signal.SIGKILL)
        assert await running.pid() == running.pids[2]
        running.pids.append(await running.expect("ready"))
        running.process.send_signal(signal.SIGTERM)
        assert sorted([await running.expect("ended"), await running.expect("ended")]) == [0, 1]
        status, errors = await running.ended()
        assert status == 0
        assert "was killed by signal 9" in errors


@pytest.mark.asyncio
async def test_worker_that_cannot_start_stops_all() -> None:
    """A KernelError in a worker is one sentence and a non-zero status, not a loop of restarts or a traceback."""
    async with program(2, "refuse") as running:
        status, errors = await running.ended()
        assert status == 1
        assert set(errors.splitlines()) == {"The moon is in the wrong phase."}


@pytest.mark.asyncio
async def test_deaf_workers_are_killed() -> None:
    """Workers that do not end on the signal are killed once the patience is over."""
    async with program(2, "deaf") as running:
        running.process.send_signal(signal.SIGTERM)
        status, errors = await running.ended()
        assert status == 0
        assert "Killing 2 workers" in errors


@pytest.mark.asyncio
async def test_workers_end_with_their_parent() -> None:
    """When the parent is killed, the workers stop too, and the port is free."""
    async with program(2) as running:
        running.process.kill()
        assert sorted([await running.expect("ended"), await running.expect("ended")]) == [0, 1]
        assert await running.line() == []
        with pytest.raises(ConnectionError):
            await running.ask()
