"""Measure the kernel against Python Prefect: `python -m conformance.bench --reference PYTHON [--db URL] [--runs N]`.

Both servers run on databases filled in the same way, by their own API, and are measured in turn, operation by
operation, so that a machine whose speed drifts is the same for both. What counts is the ratio; CPU time (of the server
process, from /proc) is the steadier one of the two on a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .load import Connection, create, measure, operations

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, with children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / TICK


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


@contextmanager
def server(command: str, url: str | None, home: Path) -> Iterator[tuple[int, int]]:
    """Run a server in the foreground: (process id, port)."""
    port = free_port()
    env = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    env |= {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    if url is not None:
        env["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = url
    home.mkdir(exist_ok=True)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            shlex.split(command.format(port=port)), env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process.pid, port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


async def ready(port: int) -> None:
    """Return when the server answers; after 90 seconds the error of trying says why it does not."""
    deadline = time.monotonic() + 90
    while True:
        connection = Connection(port)
        try:
            await connection.call("GET", "/health")
            return
        except (OSError, asyncio.IncompleteReadError, RuntimeError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        finally:
            connection.close()


async def fill(port: int, runs: int) -> tuple[str, str]:
    """Make a flow and its runs through the API: (flow, run)."""
    connection = Connection(port)
    flow = (await connection.json("POST", "/flows/", {"name": "bench"}))["id"]
    run = ""
    for _ in range(runs):
        run = await create(connection, flow)
    connection.close()
    return flow, run


def shown(x: float) -> str:
    """A figure with the digits that mean something."""
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


async def main(a: argparse.Namespace) -> None:
    """Start both servers, fill them, and print the table."""
    commands = {"reference": f"{a.reference} -m prefect server start --host 127.0.0.1 --port {{port}} --no-services"}
    commands["kernel"] = a.kernel
    with (
        tempfile.TemporaryDirectory() as work,
        server(commands["reference"], a.reference_db, Path(work, "reference")) as reference,
        server(commands["kernel"], a.kernel_db, Path(work, "kernel")) as kernel,
    ):
        servers = {"reference": reference, "kernel": kernel}
        known = {}
        for who, (_, port) in servers.items():
            await ready(port)
            known[who] = await fill(port, a.runs)
        print(f"{'':16}{'c':>3}{'reference op/s':>16}{'cpu ms':>8}{'kernel op/s':>14}{'cpu ms':>8}  faster less_cpu")
        ratios: list[tuple[float, float]] = []
        for name in operations(*known["kernel"]):
            for clients in a.clients:
                figures = {}
                for who, (pid, port) in servers.items():
                    flow, run = known[who]
                    operation = operations(flow, run)[name]
                    await measure(port, operation, flow, clients, 0.2)
                    before = cpu_seconds(pid)
                    done, seconds, refused = await measure(port, operation, flow, clients, a.seconds)
                    figures[who] = done / seconds, max(cpu_seconds(pid) - before, 1 / TICK) / done * 1000, refused
                ours, theirs = figures["kernel"], figures["reference"]
                ratios.append((ours[0] / theirs[0], theirs[1] / ours[1]))
                print(
                    f"{name:16}{clients:>3}{shown(theirs[0]):>16}{shown(theirs[1]):>8}{shown(ours[0]):>14}"
                    f"{shown(ours[1]):>8}{shown(ratios[-1][0]):>8}{shown(ratios[-1][1]):>9}",
                    flush=True,
                )
        means = [math.exp(statistics.fmean(map(math.log, column))) for column in zip(*ratios, strict=True)]
        print(f"geometric mean: faster {shown(means[0])}, less_cpu {shown(means[1])}")


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument(
        "--reference",
        default=os.environ.get("PREFECT_KERNEL_REFERENCE_PYTHON"),
        help="python of an environment with prefect 3.8.8 (default: $PREFECT_KERNEL_REFERENCE_PYTHON)",
    )
    p.add_argument("--kernel", default=f"{sys.executable} -m prefect_kernel serve --port {{port}}", help="its command")
    p.add_argument("--kernel-db", help="database URL of the kernel (default: a new SQLite file)")
    p.add_argument("--reference-db", help="database URL of the reference (default: a new SQLite file)")
    p.add_argument("--runs", type=int, default=500, help="flow runs to begin with")
    p.add_argument("--clients", type=lambda s: [int(x) for x in s.split(",")], default=[1, 16])
    p.add_argument("--seconds", type=float, default=2.0, help="for each operation, number of clients and server")
    asyncio.run(main(p.parse_args()))
