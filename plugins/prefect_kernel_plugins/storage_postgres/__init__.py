"""PostgreSQL storage: an asyncpg pool with prepared statements; each yield of a unit is one round trip.

Reads run outside of an explicit transaction (READ COMMITTED, as in the reference); writes run in one, and are run again
after a serialisation failure, a deadlock or `Raced`. A connection that breaks before the COMMIT is answered leaves the
outcome open: the client gets 503 and repeats, which idempotent routes absorb.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, TypeVar

from prefect_kernel import errors, hookimpl
from prefect_kernel.ports.storage import StorageDriver
from prefect_kernel.sql import Unit
from prefect_kernel.sql.types import NO_CHARACTER, NUL, POSTGRESQL, RANGE

from .driving import drive
from .pool import Pool

P = ParamSpec("P")
T = TypeVar("T")

MAX_ATTEMPTS = 20
"""How often a unit that lost a race is run again."""

FREE_ATTEMPTS = 3
"""After so many lost races, those who lost take turns: else of a crowd that wants one row, some would never get it."""


class PostgresStorage:
    """An open PostgreSQL database."""

    dialect = POSTGRESQL

    def __init__(self, pool: Pool, url: str) -> None:
        self.pool, self.url = pool, url
        self.gauges = pool.gauges
        self._turn = asyncio.Lock()

    async def read(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(unit, args, kwargs, write=False)

    async def write(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(unit, args, kwargs, write=True)

    async def _run(self, unit: Any, args: Any, kwargs: Any, *, write: bool) -> Any:
        for attempt in range(1, FREE_ATTEMPTS + 1):
            try:
                return await self._once(unit, args, kwargs, write)
            except errors.Raced:
                await asyncio.sleep(random.random() * 0.002 * 2**attempt)
        async with self._turn:
            for attempt in range(FREE_ATTEMPTS + 1, MAX_ATTEMPTS):
                try:
                    return await self._once(unit, args, kwargs, write)
                except errors.Raced:
                    await asyncio.sleep(random.random() * 0.002 * 2 ** min(attempt, 6))
            return await self._once(unit, args, kwargs, write)

    async def _once(self, unit: Any, args: Any, kwargs: Any, write: bool) -> Any:
        try:
            connection = await self.pool.acquire()
        except Exception as error:
            raise translate(error) from error
        try:
            return await drive(connection, unit(*args, **kwargs), write)
        except Exception as error:
            translated = translate(error)
            if isinstance(translated, errors.StorageUnavailable) and not connection.is_closed():
                connection.terminate()  # the driver may be in the middle of something, and would never get out of it
            raise translated from error
        finally:
            await self.pool.release(connection)

    async def ping(self) -> None:
        try:
            connection = await self.pool.acquire()
            try:
                await connection.execute("SELECT 1")
            finally:
                await self.pool.release(connection)
        except Exception as error:
            raise translate(error) from error

    @property
    def database(self) -> Any:
        from .database import database_for  # imports `databases`, which most servers never need

        return database_for(self)


def translate(error: Exception) -> Exception:
    """The kernel's error for one of the driver's."""
    import asyncpg
    from asyncpg import exceptions as pg

    if isinstance(error, errors.KernelError):
        return error
    if isinstance(error, pg.SerializationError | pg.DeadlockDetectedError):
        return errors.Raced(str(error))
    if isinstance(error, pg.UniqueViolationError):
        return errors.UniqueViolation(str(error))
    if isinstance(error, pg.IntegrityConstraintViolationError):
        return errors.IntegrityViolation(str(error))
    if isinstance(error, pg.CharacterNotInRepertoireError | pg.UntranslatableCharacterError):
        return errors.InvalidValue(NUL)  # Python's strings have no other bytes that are no text
    if isinstance(error, pg.ProgramLimitExceededError):  # an index holds texts of some 2,700 bytes that do not compress
        return errors.InvalidValue(f"it is too long for the database: {error.args[0]}")
    cause = error.__cause__ if isinstance(error, asyncpg.DataError) else error
    if isinstance(cause, OverflowError | UnicodeEncodeError):
        return errors.InvalidValue(RANGE if isinstance(cause, OverflowError) else NO_CHARACTER)
    if isinstance(error, pg.DataError | asyncpg.DataError):
        return errors.InvalidValue(str(error))
    away = (
        OSError,  # includes TimeoutError and ConnectionError
        asyncio.TimeoutError,
        pg.PostgresConnectionError,
        pg.CannotConnectNowError,
        pg.OperatorInterventionError,  # admin shutdown, crash recovery, query cancelled
        pg.InsufficientResourcesError,  # too many connections, disk full
        pg.LockNotAvailableError,
        pg.ReadOnlySQLTransactionError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,  # the connection broke at a moment that the driver was not prepared for
    )
    if isinstance(error, TimeoutError) and not str(error):
        return errors.StorageUnavailable("TimeoutError: it does not answer in time")
    if isinstance(error, away):
        return errors.StorageUnavailable(errors.told(error))
    if isinstance(error, asyncpg.PostgresError):
        return errors.StorageError(str(error))
    return error


@asynccontextmanager
async def open_postgres(url: str, settings: Any) -> AsyncIterator[PostgresStorage]:
    """Open (and, where settings say so, create or upgrade) the database of a `postgresql…` URL."""
    import asyncpg

    from ..schema.postgres import prepare
    from .options import connect_options

    await prepare(url, settings)
    options = connect_options(url, settings)
    pooling = settings.server.database.sqlalchemy

    async def connect() -> Any:
        connection = await asyncpg.connect(**options)
        # Ids are text in the kernel; as text they need no conversion on either side.
        await connection.set_type_codec("uuid", schema="pg_catalog", encoder=str, decoder=str, format="text")
        return connection

    pool = Pool(
        connect,
        size=pooling.pool_size + max(pooling.max_overflow, 0),
        recycle=max(pooling.pool_recycle, 0),
        timeout=pooling.pool_timeout,
    )
    storage = PostgresStorage(pool, url)
    await storage.ping()
    try:
        yield storage
    finally:
        await pool.close()


async def manage(action: Any, settings: Any) -> str:
    """Upgrade, stamp or check the database of the settings."""
    from ..schema.commands import run

    return await run(action, settings)


@hookimpl
def kernel_storages() -> Iterable[StorageDriver]:
    return [StorageDriver("postgresql", ("postgresql", "postgresql+asyncpg", "postgres"), open_postgres, manage)]
