"""A program for tests of several processes: `worker_program.py COUNT MODE`; prints `listening PORT`, `ready PID`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from prefect_kernel.errors import ServerError
from prefect_kernel.ports.server import ServeConfig, loop_factory, open_sockets, stop_on_signals
from prefect_kernel.workers import run_workers
from prefect_kernel_plugins.server_native import NativeRunner


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with its process id; `/slow` says that it has begun, and ends when the server is told to stop."""
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/slow":
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, stopped.set)
        say("begun", os.getpid())
        await stopped.wait()
    body = str(os.getpid()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})


def say(*words: object) -> None:
    """A line to the test, whole even when several processes write."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def main() -> int:
    """Serve as the arguments say."""
    count, mode = int(sys.argv[1]), sys.argv[2]
    sockets = open_sockets(ServeConfig(port=0))
    say("listening", sockets[0].getsockname()[1])

    def worker(index: int) -> None:
        if mode == "refuse":
            raise ServerError("The moon is in the wrong phase.")
        if mode == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            say("ready", os.getpid())
            while True:
                signal.pause()

        async def serve() -> None:
            stop = asyncio.Event()
            stop_on_signals(stop)
            config = ServeConfig(sockets=sockets, graceful_timeout=10)
            await NativeRunner().serve(application, config, lambda _: say("ready", os.getpid()), stop)

        with asyncio.Runner(loop_factory=loop_factory()) as loops:
            loops.run(serve())
        say("ended", index)

    if count == 0:
        worker(0)
        return 0
    return run_workers(count, worker, patience=0.5 if mode == "deaf" else 30.0)


if __name__ == "__main__":
    sys.exit(main())
