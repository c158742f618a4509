"""Starts the two servers on fresh databases, and ends them."""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click

from . import coverage

START_SECONDS = 180
# Loops that change data by themselves would make two runs of one sequence differ; what they do has tests of its own.
QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_UI_ENABLED": "false",
    # What is a set to a server, such as the errors of a schema, is in one order on both.
    "PYTHONHASHSEED": "0",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_REPOSSESSOR_ENABLED": "false",
    "PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED": "true",
    "PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED": "true",
}
REFERENCE_COMMAND = "{python} -m prefect server start --host 127.0.0.1 --port {port} --no-ui"
KERNEL_COMMAND = "{python} -m prefect_kernel serve --host 127.0.0.1 --port {port}"


class StartError(click.ClickException):
    """A server did not start."""


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def clean_environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process without Prefect's own variables, with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PYTHONPATH"))}
    return {**kept, "PREFECT_HOME": str(home), "PREFECT_PROFILES_PATH": str(home / "profiles.toml"), **more}


@dataclass(frozen=True)
class Where:
    """Where a server is to be found."""

    api_url: str
    database_url: str | None = None
    home: str = ""


class Server:
    """One server as a process of its own."""

    def __init__(
        self, name: str, command: str, python: str, database_url: str, directory: Path, more: Mapping[str, str]
    ) -> None:
        port = free_port()
        home = directory / name
        home.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.where = Where(f"http://127.0.0.1:{port}/api", database_url, str(home))
        self._log = directory / f"{name}.log"
        self._arguments = shlex.split(command.format(python=shlex.quote(python), port=port))
        own = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database_url, "PREFECT_SERVER_API_PORT": str(port)}
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=clean_environment(home, {**QUIET, **own, **more}),
                cwd=home,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Return when it answers."""
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.where.api_url}/health", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
        raise StartError(f"The {self.name} server did not start ({shlex.join(self._arguments)}):\n{tail}")

    def end(self) -> None:
        """End it, by force if it must be."""
        for stop in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                try:
                    os.killpg(self._process.pid, stop)
                    self._process.wait(10)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue


@contextmanager
def fresh_database(kind: str, name: str, directory: Path, postgres: str) -> Iterator[str]:
    """An empty database that lives as long as the run; gives its URL as Prefect takes it."""
    if kind == "sqlite":
        yield f"sqlite+aiosqlite:///{directory / name}.db"
        return
    database = f"conformance_{name}_{secrets.token_hex(4)}"
    _on_server(postgres, f'CREATE DATABASE "{database}"')
    try:
        yield urlunsplit(urlsplit(postgres)._replace(scheme="postgresql+asyncpg", path=f"/{database}"))
    finally:
        _on_server(postgres, f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')


def _on_server(postgres: str, statement: str) -> None:
    async def run() -> None:
        import asyncpg

        connection: Any = await asyncpg.connect(postgres)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


@contextmanager
def both_servers(
    kind: str, reference_python: str, kernel_command: str, postgres: str, *, keep: bool, count_rules: bool = False
) -> Iterator[dict[str, Where]]:
    """Both servers on fresh databases."""
    directory = Path(tempfile.mkdtemp(prefix="prefect-conformance-"))
    with ExitStack() as stack:
        if not keep:
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
        started = []
        counting = coverage.SETTING if count_rules else {}
        for name, command, python, more in (
            ("reference", REFERENCE_COMMAND, reference_python, {}),
            ("kernel", kernel_command, sys.executable, counting),
        ):
            database = stack.enter_context(fresh_database(kind, name, directory, postgres))
            started.append(Server(name, command, python, database, directory, more))
            stack.callback(started[-1].end)
        for server in started:
            server.wait_until_ready()
        yield {server.name: server.where for server in started}
