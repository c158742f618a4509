"""`prefect-kernel doctor`: one look at everything that a server needs, each with what to do about it."""

from __future__ import annotations

import asyncio
import email.utils
import json
import sys
import time
import urllib.error
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import click
import sqlalchemy as sa

from ..app import Kernel
from ..errors import KernelError, PluginError, StorageUnavailable, told
from ..plugins import Plugins
from ..ports.server import loop_factory
from ..settings import Settings
from ..sql import Statement, Unit
from ..sql.types import POSTGRESQL
from ..versions import PREFECT_VERSION
from .asking import address_of, get, secret_of, trust_of
from .setup import prepare

OK, WARN, FAIL, SKIP = "ok", "warn", "FAIL", "-"
SKEW_SECONDS = 2.0
STEP_SECONDS = 20.0
LOCAL = ("127.0.0.1", "::1", "localhost")


class Report:
    """Findings, printed as they come."""

    def __init__(self) -> None:
        self.failed = False

    def add(self, what: str, state: str, said: str, advice: str = "") -> None:
        """Print a finding: `ok`, `warn`, `FAIL`, or `-` for what could not be looked at."""
        self.failed |= state == FAIL
        click.echo(f"{state:>4}  {what:<10} {said}")
        for line in advice.splitlines():
            click.echo(f"{'':>4}  {'':<10} → {line}")


def run(url: str | None, **options: Any) -> None:
    """Look at everything; exit code 1 when something is broken."""
    report = Report()
    settings = prepare(**options)
    given = sum(row.source != "default" for row in settings.describe())
    report.add("settings", OK, f"{given} set; `prefect-kernel settings` shows each with its source")
    _settings(report, settings)
    kernel = _plugins(report, settings)
    if kernel is not None:
        _access(report, kernel)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_look(report, kernel, url))
    if report.failed:
        sys.exit(1)


def _access(report: Report, kernel: Kernel) -> None:
    host = kernel.settings.server.api.host
    if host not in LOCAL and kernel.dispatcher.authentication is None:
        report.add(
            "access",
            WARN,
            f"the API listens on {host} and lets everybody in",
            "PREFECT_SERVER_API_AUTH_STRING=user:password asks for credentials; docs/security.md has further ways.",
        )


def _settings(report: Report, settings: Settings) -> None:
    api = settings.server.api
    public = api.host not in LOCAL
    if public and settings.server.ui.enabled and "://0.0.0.0" in str(settings.server.ui.api_url):
        report.add(
            "settings",
            WARN,
            f"browsers are told that the API is at {settings.server.ui.api_url}",
            "PREFECT_UI_API_URL should be the address by which browsers reach it, or /api behind the same address.",
        )


def _plugins(report: Report, settings: Settings) -> Kernel | None:
    found = Plugins.of(settings)
    try:
        kernel: Kernel | None = Kernel(settings, found)
    except PluginError as error:
        for line in error.message.splitlines():
            report.add("plugins", FAIL, line, "Leave it out with --disable NAME, or put it right.")
        kernel = None
    except KernelError as error:
        report.add("settings", FAIL, error.message)
        kernel = None
    for plugin in found.known:
        if plugin.state == "skipped":
            report.add("plugins", WARN, f"{plugin.name} is skipped: {plugin.reason}", "It is installed, but not used.")
    if kernel is not None:
        report.add("plugins", OK, f"{len(found.loaded)} loaded")
    return kernel


async def _look(report: Report, kernel: Kernel, url: str | None) -> None:
    for what, step in (("database", _database), ("broker", _broker)):
        try:
            async with asyncio.timeout(STEP_SECONDS):
                await step(report, kernel)
        except TimeoutError:
            report.add(what, FAIL, f"it does not answer within {STEP_SECONDS:g} seconds", "Is it up, and reachable?")
        except (KernelError, OSError) as error:
            report.add(what, FAIL, str(error) or type(error).__name__)
    await asyncio.to_thread(_served, report, kernel, url)
    await _socket(report, kernel, url)


# ---------------------------------------------------------------- database
async def _database(report: Report, kernel: Kernel) -> None:
    try:
        said = await kernel.manage_database("check")
    except StorageUnavailable as error:
        report.add("database", FAIL, error.message, "Is it up, and is PREFECT_SERVER_DATABASE_CONNECTION_URL right?")
        return
    except KernelError as error:
        report.add("database", FAIL, error.message)  # it says itself what to run, and an upgrade is not always right
        return
    report.add("database", OK, f"{kernel.settings.shown_database_url}: {said}")
    async with AsyncExitStack() as stack:
        await kernel.open_storage(stack, migrate_plugins=False)
        postgres = kernel.storage.dialect == POSTGRESQL
        await (_postgres if postgres else _sqlite)(report, kernel)
        await _tables(report, kernel, postgres)
        await _indexes(report, kernel, postgres)


async def _rows(kernel: Kernel, text: str) -> list[Any]:
    statement = Statement(sa.text(text))

    def unit() -> Unit[list[Any]]:
        rows = yield statement()
        return list(rows)

    return await kernel.storage.read(unit)


def _megabytes(size: float) -> str:
    return f"{size / 1024 / 1024:,.1f} MiB"


async def _sqlite(report: Report, kernel: Kernel) -> None:
    ((version, pages, size, mode),) = await _rows(
        kernel,
        "SELECT sqlite_version(), (SELECT page_count FROM pragma_page_count), (SELECT page_size FROM pragma_page_size),"
        " (SELECT journal_mode FROM pragma_journal_mode)",
    )
    report.add("database", OK, f"SQLite {version}, {_megabytes(pages * size)}, journal {mode}")


async def _postgres(report: Report, kernel: Kernel) -> None:
    ((version, size, limit, used),) = await _rows(
        kernel,
        "SELECT current_setting('server_version'), pg_database_size(current_database()),"
        " current_setting('max_connections')::int, (SELECT count(*) FROM pg_stat_activity)",
    )
    report.add("database", OK, f"PostgreSQL {version}, {_megabytes(size)}, {used} of {limit} connections in use")
    pool = kernel.settings.server.database.sqlalchemy
    wanted = pool.pool_size + max(pool.max_overflow, 0)
    if limit - used < wanted:
        report.add(
            "database",
            WARN,
            f"a server process may want {wanted} connections, and {limit - used} are left",
            "Raise max_connections, or lower PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE and …_MAX_OVERFLOW.",
        )
    began = time.time()
    ((theirs,),) = await _rows(kernel, "SELECT extract(epoch FROM clock_timestamp())::float8")
    _skew(report, "the database", theirs - (began + time.time()) / 2)
    waiting = await _rows(
        kernel,
        "SELECT pid, pg_blocking_pids(pid)::text, left(query, 60) FROM pg_stat_activity"
        " WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0",
    )
    for pid, blockers, query in waiting:
        report.add(
            "database",
            WARN,
            f"process {pid} waits for {blockers}: {query}",
            "pg_terminate_backend(PID) ends who blocks, when it is nothing that should go on.",
        )
    idle = await _rows(
        kernel,
        "SELECT pid, now() - xact_start FROM pg_stat_activity WHERE datname = current_database()"
        " AND state = 'idle in transaction' AND now() - xact_start > interval '1 minute'",
    )
    for pid, age in idle:
        report.add("database", WARN, f"process {pid} has left a transaction open for {age}")


async def _missing(kernel: Kernel, what: str, postgres: bool) -> list[str]:
    """The names of the `tables` or `indexes` of the schema that are not there."""
    indexes = what == "indexes"
    column, view, kind = ("indexname", "pg_indexes", "index") if indexes else ("tablename", "pg_tables", "table")
    there = await _rows(
        kernel,
        f"SELECT {column}::text FROM {view} WHERE schemaname = ANY (current_schemas(false))"
        if postgres
        else f"SELECT name FROM sqlite_master WHERE type = '{kind}'",
    )
    wanted = await kernel.storage_driver.manage(what, kernel.settings) if kernel.storage_driver.manage else ""
    return sorted(set(wanted.split()) - {name for (name,) in there})


async def _tables(report: Report, kernel: Kernel, postgres: bool) -> None:
    """Tables that somebody has dropped: the version of the schema does not tell."""
    missing = await _missing(kernel, "tables", postgres)
    if missing:
        report.add(
            "database",
            FAIL,
            f"tables are missing: {', '.join(missing)}",
            "Restore the database from a backup, or the tables from a dump of the schema of a new one.",
        )


async def _indexes(report: Report, kernel: Kernel, postgres: bool) -> None:
    """Indexes that are declared and not there make a large database slow."""
    missing = await _missing(kernel, "indexes", postgres)
    if missing:
        report.add(
            "database",
            WARN,
            f"indexes are missing: {', '.join(missing)}",
            "The schema has them: compare with a new database, or restore them from a dump of its schema.",
        )
    if postgres:
        invalid = await _rows(kernel, "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1")
        for (name,) in invalid:
            report.add("database", WARN, f"index {name} is not valid", f"REINDEX INDEX CONCURRENTLY {name}")


# ---------------------------------------------------------------- broker
async def _broker(report: Report, kernel: Kernel) -> None:
    driver = kernel.broker_driver
    name = kernel.settings.messaging_broker
    async with driver.open(kernel.settings) as broker:
        try:
            await broker.ping()
        except Exception as error:  # noqa: BLE001 - drivers have errors of their own
            report.add(
                "broker",
                FAIL,
                f"{driver.name} cannot be reached: {told(error)}",
                "Servers serve without it; until it is back, live streams look into the database every few seconds.",
            )
            return
    shown = f"{driver.name} ({name or 'no setting names one'})"
    report.add("broker", OK, shown if driver.shared else f"{shown}: for one server process")


# ---------------------------------------------------------------- the running server
def _skew(report: Report, whose: str, seconds: float) -> None:
    if abs(seconds) > SKEW_SECONDS:
        report.add(
            "clock",
            FAIL if abs(seconds) > 60 else WARN,
            f"the clock of {whose} is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this machine's",
            "Have both follow a time server; schedules and leases are compared across machines.",
        )
    else:
        report.add("clock", OK, f"{whose} and this machine agree to {max(abs(seconds), 0.1):.1f} s")


def _served(report: Report, kernel: Kernel, url: str | None) -> None:
    base = address_of(kernel.settings, url)
    try:
        date = get(kernel.settings, f"{base}/health", STEP_SECONDS).headers.get("date")
    except (urllib.error.URLError, OSError, ValueError) as error:
        report.add(
            "http",
            FAIL if url or kernel.settings.api.url else WARN,
            f"{base} does not answer: {error}",
            "Start it with `prefect-kernel serve`; --url names the address by which clients reach it.",
        )
        return
    report.add("http", OK, f"{base} answers")
    if date is not None:
        _skew(report, "the server", email.utils.parsedate_to_datetime(date).timestamp() + 0.5 - time.time())
    try:
        version = get(kernel.settings, f"{base}/admin/version", STEP_SECONDS).json
        health: Any = get(kernel.settings, f"{base}/kernel/health", STEP_SECONDS).json
        services = [(one["name"], one["state"], one["last_error"]) for one in health["services"]]
    except urllib.error.HTTPError as error:
        advice = (
            "Give PREFECT_API_AUTH_STRING what the server wants: its auth string, or an API key."
            if error.code == 401
            else ""
        )
        advice = advice or (
            "This is not a prefect-kernel; something else has the address." if error.code == 404 else ""
        )
        report.add("http", FAIL, f"{error.url}: {error.code} {error.reason}", advice)
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        report.add("http", FAIL, f"{base} gives no sensible answer: {error}", "What is between here and the server?")
        return
    if version != PREFECT_VERSION:
        report.add("http", WARN, f"the server stands in for Prefect {version}, this program for {PREFECT_VERSION}")
    for name, state, last_error in services:
        if state != "running":
            report.add("services", FAIL, f"{name} is {state}: {last_error}")
    report.add("services", OK, f"{len(services)} in the process that answered")


async def _socket(report: Report, kernel: Kernel, url: str | None) -> None:
    """Prefect's handshake on the socket on which clients follow events: accepted, as proxies sometimes prevent."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    base = urlsplit(address_of(kernel.settings, url))
    address = base._replace(scheme="wss" if base.scheme == "https" else "ws", path=base.path + "/events/out").geturl()
    try:
        opened = connect(address, subprotocols=["prefect"], ssl=trust_of(kernel.settings, address))  # type: ignore[list-item]
        async with asyncio.timeout(STEP_SECONDS), opened as socket:
            await socket.send(json.dumps({"type": "auth", "token": secret_of(kernel.settings)}))
            answer = json.loads(await socket.recv())
    except (WebSocketException, OSError, TimeoutError, ValueError) as error:
        refused = isinstance(error, ConnectionRefusedError)
        report.add(
            "websocket",
            SKIP if refused else FAIL,
            f"{address}: {str(error) or 'no answer'}",
            ""
            if refused
            else "A proxy must pass Upgrade and Connection on; PREFECT_API_AUTH_STRING must be what the server wants.",
        )
        return
    good = answer == {"type": "auth_success"}
    report.add("websocket", OK if good else FAIL, f"{address} {'answers' if good else f'says {answer}'}")
