"""Measure the kernel against Python Prefect: `python -m conformance.bench --reference PYTHON [--db URL] [--runs N]`.

Both servers run on databases filled in the same way, by their own API, and are measured in turn, operation by
operation, so that a machine whose speed drifts is the same for both. What counts is the ratio; CPU time (of the server
process and, on PostgreSQL of this machine, of its database sessions, from /proc) is the steadier one of the two on a
busy machine. `refused` counts the requests that the reference and the kernel answered with 429, 500 or 503, or not at
all; they were sent again.
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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from . import rest
from .load import Connection, Operation, create, measure, operations

TICK = os.sysconf("SC_CLK_TCK")


class Spent:
    """CPU time of processes up to now."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._threads: dict[int, dict[str, int]] = {}
        self._total: dict[int, float] = {}
        for pid in pids:
            try:
                threads = list(Path(f"/proc/{pid}/task").iterdir())
                self._threads[pid] = {one.name: int((one / "schedstat").read_text().split()[0]) for one in threads}
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                self._total[pid] = sum(map(int, fields[11:15])) / TICK
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended

    def since(self, before: Spent) -> float:
        """Seconds between two moments: by nanoseconds, or by ticks for a process some of whose threads have ended."""
        seconds = 0.0
        for pid, threads in self._threads.items():
            old = before._threads.get(pid, {})
            if old.keys() <= threads.keys():
                seconds += (sum(threads.values()) - sum(old.values())) / 1e9
            else:
                seconds += self._total[pid] - before._total[pid]
        return seconds


async def sessions(url: str | None) -> list[int]:
    """The processes that serve a PostgreSQL database, besides the one that says so."""
    if url is None or not url.startswith("postgresql"):
        return []
    import asyncpg

    connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
    try:
        rows = await connection.fetch(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()
    return [row["pid"] for row in rows]


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
    """Return when the server answers; after 300 seconds the error of trying says why it does not."""
    deadline = time.monotonic() + 300
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
        urls = {"reference": a.reference_db, "kernel": a.kernel_db}
        measured: dict[str, dict[str, Operation]] = {}
        flows = {}
        for who, (_, port) in servers.items():
            await ready(port)
            flows[who], run = await fill(port, a.runs)
            measured[who] = operations(flows[who], run) if "runs" in a.of else {}
            if "rest" in a.of:
                measured[who] |= rest.operations(await rest.fill(port, flows[who], run))
        head = f"{'reference op/s':>16}{'cpu ms':>8}{'kernel op/s':>14}{'cpu ms':>8}  faster less_cpu  refused"
        print(f"{'':16}{'c':>3}{head}")
        ratios: list[tuple[float, float]] = []
        for name in measured["kernel"]:
            if not any(fnmatch(name, pattern) for pattern in a.only):
                continue
            for clients in a.clients:
                figures = {}
                for who, (pid, port) in servers.items():
                    flow, operation = flows[who], measured[who][name]
                    await measure(port, operation, flow, clients, 0.2)
                    before = Spent([pid, *await sessions(urls[who])])
                    done, seconds, refused = await measure(port, operation, flow, clients, a.seconds)
                    used = Spent([pid, *await sessions(urls[who])]).since(before)
                    figures[who] = done / seconds, used / max(done, 1) * 1000, refused
                ours, theirs = figures["kernel"], figures["reference"]
                row = f"{name:16}{clients:>3}{shown(theirs[0]):>16}{shown(theirs[1]):>8}"
                row += f"{shown(ours[0]):>14}{shown(ours[1]):>8}"
                if theirs[0] and ours[0]:
                    ratios.append((ours[0] / theirs[0], theirs[1] / ours[1]))
                    row += f"{shown(ratios[-1][0]):>8}{shown(ratios[-1][1]):>9}"
                else:
                    row += f"{'-':>8}{'-':>9}"
                print(f"{row}  {theirs[2]}/{ours[2]}", flush=True)
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
    p.add_argument("--of", type=lambda s: s.split(","), default=["runs"], help="runs, rest, or both (runs,rest)")
    p.add_argument("--only", type=lambda s: s.split(","), default=["*"], help="patterns of operations")
    p.add_argument("--seconds", type=float, default=2.0, help="for each operation, number of clients and server")
    asyncio.run(main(p.parse_args()))
