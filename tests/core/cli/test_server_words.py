"""The server's commands in Prefect's words, and `doctor`."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.kernel import clean_environment
from tests.support.processes import free_port

pytestmark = pytest.mark.timeout(600)  # a dozen processes, one after the other


class Commands:
    """Runs commands in a home of their own."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"

    def __call__(self, *arguments: str, code: int = 0, **env: Any) -> str:
        """What a command prints."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect_kernel", *arguments],
            env=clean_environment(self.home, PREFECT_API_URL=self.url, **env),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


SLOW = """
import asyncio, os
from contextlib import asynccontextmanager
from prefect_kernel import hookimpl

@asynccontextmanager
async def opened(kernel):
    await asyncio.sleep(float(os.environ["ACME_SECONDS"]))
    if os.environ.get("ACME_FAILS"):
        raise RuntimeError("no luck")
    yield

@hookimpl
def kernel_lifespans():
    return [opened]
"""
"""A plugin that takes its time to open, and may fail then."""


ODD = """
from prefect_kernel import Service, hookimpl

class Odd(Service):
    name = "odd-one"
    async def tick(self): ...
    @classmethod
    def every(cls, settings): return 1
    @classmethod
    def enabled(cls, settings): return 1 / 0

@hookimpl
def kernel_services(settings):
    return [Odd]
"""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Commands]:
    """Commands; what was left in the background is ended."""
    commands = Commands(tmp_path)
    yield commands
    for path in tmp_path.glob("*.pid"):
        os.kill(int(path.read_text()), 9)


def test_in_the_background(run: Commands) -> None:
    """A server is started, answers, is looked at, and stopped."""
    assert "does not answer" in run("server", "status", code=1)
    env: dict[str, Any] = {"PREFECT_SERVER_API_AUTH_STRING": "a:b"}
    said = run("server", "start", "--background", "--host", "127.0.0.1", "--port", str(run.port), "--no-ui", **env)
    assert "The server runs in the background" in said
    assert "`prefect-kernel server stop` ends it" in said
    assert "already" in run("server", "start", "-b", code=1)
    told = json.loads(run("server", "status", "--wait", "--timeout", "60", "-o", "json", **env))
    assert told == {"status": "available", "api_url": run.url, "server_version": "3.8.8"}
    assert "401" in run("server", "status", code=1)
    said = run("doctor", **env)
    for what in ("settings", "plugins", "database", "broker", "http", "clock", "services", "websocket"):
        assert f"ok  {what}" in said
    assert "FAIL" not in said
    assert "missing" not in said
    said = run("doctor", code=1)
    assert "PREFECT_API_AUTH_STRING" in said
    run("server", "stop")
    assert "No server" in run("server", "stop", code=1)
    began = time.monotonic()
    assert "does not answer" in run("server", "status", "--wait", "--timeout", "1", code=1)
    assert time.monotonic() - began >= 1


def test_a_start_in_the_background_ends_when_the_server_answers(run: Commands, tmp_path: Path) -> None:
    """However long it takes to open; the process in an old file of a number that is somebody else's now is let be."""
    slow = tmp_path / "slow.py"
    slow.write_text(SLOW)
    (tmp_path / "server.pid").write_text(str(os.getppid()))
    assert "No server" in run("server", "stop", code=1)
    (tmp_path / "server.pid").write_text(str(os.getppid()))
    env: dict[str, Any] = {"PREFECT_KERNEL_PLUGINS": str(slow), "ACME_SECONDS": "1.5"}
    began = time.monotonic()
    run("server", "start", "-b", "--port", str(run.port), **env)
    assert time.monotonic() - began > 1.5
    assert "answers" in run("server", "status")
    run("server", "stop")


def test_starts_in_the_background_that_log_json(run: Commands) -> None:
    """They are ready when their logs say so, in whatever form."""
    env: dict[str, Any] = {"PREFECT_KERNEL_LOG_FORMAT": "json"}
    assert "runs in the background" in run("server", "start", "-b", "--port", str(run.port), "--no-services", **env)
    run("server", "stop")
    assert "run in the background" in run("services", "start", "-b", **env)
    run("services", "stop")
    for name in ("server", "services"):
        for line in (run.home / f"{name}.log").read_text().splitlines():
            assert json.loads(line)["message"]


@pytest.mark.parametrize("words", [["server", "start"], ["services", "start"]], ids=" ".join)
def test_a_start_in_the_background_that_fails(run: Commands, words: list[str], tmp_path: Path) -> None:
    """It is told, with the reason, also when the process lives for a while before it fails."""
    slow = tmp_path / "slow.py"
    slow.write_text(SLOW)
    env: dict[str, Any] = {"PREFECT_KERNEL_PLUGINS": str(slow), "ACME_SECONDS": "1.5", "ACME_FAILS": "1"}
    said = run(*words, "--background", code=1, **env)
    assert "ended while starting" in said
    assert "\nError: plugin slow: lifespan opened failed: RuntimeError: no luck" in said
    assert not list(tmp_path.glob("*.pid"))


@pytest.mark.parametrize("kind", ["sqlite_url", "postgres_url"])
def test_database(run: Commands, kind: str, request: pytest.FixtureRequest) -> None:
    """Upgrade, stamp and reset; nothing is taken back, and nothing is deleted unasked."""
    env: dict[str, Any] = {"PREFECT_API_DATABASE_CONNECTION_URL": request.getfixturevalue(kind)}
    run("server", "database", "upgrade", "--dry-run", code=1, **env)
    for words in (["upgrade", "-y"], ["stamp", "head"], ["reset", "-y"], ["upgrade", "--dry-run"], ["stamp"]):
        assert "is ready" in run("server", "database", *words, **env)
    assert "cannot be taken back" in run("server", "database", "downgrade", "-y", code=1, **env)
    assert "Aborted" in run("server", "database", "reset", code=1, **env)
    assert "indexes are missing" not in run("doctor", code=1, **env)


def test_a_reset_empties(run: Commands, sqlite_url: str) -> None:
    """What was there is gone, and what plugins have noted is kept."""
    import sqlite3

    env: dict[str, Any] = {"PREFECT_API_DATABASE_CONNECTION_URL": sqlite_url}
    run("database", "upgrade", **env)
    file = sqlite_url.removeprefix("sqlite+aiosqlite:///")
    with sqlite3.connect(file) as connection:
        connection.execute("INSERT INTO flow (id, name) VALUES ('x', 'gone')")
        connection.execute("INSERT INTO kernel_migration (plugin, revision) VALUES ('acme', '0001')")
        connection.execute("CREATE TABLE acme_note (note TEXT)")
    connection.close()
    run("server", "database", "reset", "-y", **env)
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM flow").fetchall() == [(0,)]
        assert connection.execute("SELECT plugin FROM kernel_migration").fetchall() == [("acme",)]
        assert connection.execute("SELECT count(*) FROM acme_note").fetchall() == [(0,)]
    connection.close()


@pytest.mark.parametrize("words", [("server", "services"), ("services",)])
def test_services(run: Commands, words: tuple[str, ...]) -> None:
    """They are listed, and can run apart from the server; either way to say it ends what the other has begun."""
    found = {row["name"]: row["enabled"] for row in json.loads(run("server", "services", "ls", "-o", "json"))}
    assert found["event-persister"] is True
    assert "`prefect-kernel services stop` ends them" in run(*words, "start", "--background")
    assert "run in the background already" in run(*words, "start", "-b", code=1)
    run("services", "stop") if words[0] == "server" else run("server", "services", "stop")
    assert "No services" in run(*words, "stop", code=1)


@pytest.mark.parametrize("words", [["services", "ls"], ["server", "services", "ls"]], ids=" ".join)
def test_a_service_that_cannot_be_listed(run: Commands, words: list[str], tmp_path: Path) -> None:
    """It is told which one, and whose."""
    (tmp_path / "odd.py").write_text(ODD)
    said = run(*words, code=1, PREFECT_KERNEL_PLUGINS=str(tmp_path / "odd.py"))
    assert "plugin odd: service odd-one cannot be listed: ZeroDivisionError: division by zero" in said


def test_config_view(run: Commands) -> None:
    """What was set is shown, secrets are not."""
    said = run("config", "view", PREFECT_SERVER_API_AUTH_STRING="secret:word", PREFECT_SERVER_API_PORT="4999")
    assert "PREFECT_SERVER_API_PORT='4999' (from environment)" in said
    assert "secret:word" not in said
    assert "PREFECT_SERVER_API_DEFAULT_LIMIT" not in said
    assert "PREFECT_SERVER_API_DEFAULT_LIMIT='200'" in run("config", "view", "--show-defaults")


def test_a_doctor_without_a_database(run: Commands) -> None:
    """Where there is none, an upgrade is of no use; where it has no schema, it is."""
    away: dict[str, Any] = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://u:secret@127.0.0.1:1/x"}
    said = run("doctor", code=1, **away)
    assert "PREFECT_SERVER_DATABASE_CONNECTION_URL right?" in said
    assert "database upgrade" not in said
    assert "secret" not in said
    assert "database upgrade" in run("doctor", code=1)


def test_a_doctor_of_a_database_that_no_upgrade_helps(run: Commands, sqlite_url: str) -> None:
    """What a newer Prefect has made is not brought up to date by us: the doctor says what to do, and nothing else."""
    import sqlite3

    env: dict[str, Any] = {"PREFECT_API_DATABASE_CONNECTION_URL": sqlite_url}
    run("database", "upgrade", **env)
    with sqlite3.connect(sqlite_url.removeprefix("sqlite+aiosqlite:///")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    said = run("doctor", code=1, **env)
    assert "prefect server database downgrade" in said
    assert "prefect-kernel database upgrade" not in said


def drop(url: str, table: str) -> None:
    """Take a table away behind the server's back."""
    if url.startswith("sqlite"):
        import sqlite3

        connection = sqlite3.connect(url.removeprefix("sqlite+aiosqlite:///"))
        connection.execute(f"DROP TABLE {table}")
        connection.close()
        return
    import asyncpg

    async def work() -> None:
        opened = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=20)
        await opened.execute(f"DROP TABLE {table}")
        await opened.close()

    asyncio.run(work())


@pytest.mark.parametrize("kind", ["sqlite_url", "postgres_url"])
def test_a_doctor_of_a_database_with_a_table_dropped(run: Commands, kind: str, request: pytest.FixtureRequest) -> None:
    """The version says nothing of it, and the server would start and fail later."""
    url: str = request.getfixturevalue(kind)
    env: dict[str, Any] = {"PREFECT_API_DATABASE_CONNECTION_URL": url}
    run("database", "upgrade", **env)
    assert "missing" not in run("doctor", code=1, **env), "code 1, since nothing answers"
    drop(url, "kernel_audit")
    said = run("doctor", code=1, **env)
    assert "tables are missing: kernel_audit" in said
    assert "indexes are missing: kernel_ix_audit__actor_seq" in said
