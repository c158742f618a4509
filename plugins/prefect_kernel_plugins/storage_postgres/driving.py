"""Running a unit on an asyncpg connection, in as few round trips as it can be done.

Each round trip costs the server, the network and the database more than a simple statement does. So a transaction is
begun at the first write only (reads before it see what READ COMMITTED shows anyway), and a batch of writes goes out as
one statement; where it is the unit's only write, that statement is the whole transaction.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from prefect_kernel import errors
from prefect_kernel.sql import Batch, Call, Statement, Unit
from prefect_kernel.sql.types import POSTGRESQL

_NUMBERED = re.compile(r"\$(\d+)")
_TARGET = re.compile(r"\s*(INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?([\w.\"]+)", re.IGNORECASE)
_READS = re.compile(r"\s*(SELECT|WITH|VALUES)\b", re.IGNORECASE)
_WRITES = re.compile(
    r"\b(INSERT|UPDATE|DELETE|MERGE|FOR\s+(NO\s+KEY|KEY|SHARE)|pg_\w*lock\w*|set_config|nextval)\b", re.IGNORECASE
)

Shape = tuple[tuple[Statement, int | None], ...]


@lru_cache(2048)
def _writes(statement: Statement) -> bool:
    """Whether a statement may write or lock, so that it belongs into the transaction."""
    text = statement.compiled(POSTGRESQL).text
    return _READS.match(text) is None or _WRITES.search(text) is not None


@lru_cache(2048)
def combined(shape: Shape, disjoint: bool = False) -> str | None:
    """One statement that does several writes and fails (by a division by zero) when one misses its rows.

    All of them see the data as it was before, so this is impossible (None) where two concern the same table and one of
    them changes rows that are there, unless they are said to be others.
    """
    targets: list[tuple[str, str]] = []
    for statement, _ in shape:
        found = _TARGET.match(statement.compiled(POSTGRESQL).text)
        if found is None:
            return None
        changes = not found.group(1).upper().startswith("INSERT") or "ON CONFLICT" in found.string.upper()
        targets.append((found.group(2), "change" if changes else "insert"))
    for i, (table, kind) in enumerate(() if disjoint else targets):
        if any(table == other and "change" in (kind, its) for other, its in targets[:i]):
            return None
    parts, tests, offset = [], [], 0
    for i, (statement, expect) in enumerate(shape):
        compiled = statement.compiled(POSTGRESQL)
        text = _NUMBERED.sub(lambda m, by=offset: f"${int(m.group(1)) + by}", compiled.text)  # type: ignore[misc]
        offset += compiled.width
        parts.append(f"w{i} AS ({text}{'' if compiled.returns_rows else ' RETURNING 1'})")
        if expect is not None:
            tests.append(f"1 / (CASE WHEN (SELECT count(*) FROM w{i}) = {expect:d} THEN 1 ELSE 0 END)")
    return f"WITH {', '.join(parts)} SELECT {', '.join(tests) or '1'}"


async def drive(connection: Any, unit: Unit[Any], write: bool) -> Any:
    """Run a unit to its end on a connection, for `write` in a transaction, and give its value."""
    result: Any = None
    began = False
    try:
        while True:
            try:
                call: Any = unit.send(result)
            except StopIteration as stop:
                if began:
                    await connection.execute("COMMIT")
                return stop.value
            if type(call) is Batch:
                text = combined(tuple((part.statement, expect) for part, expect in call.calls), call.disjoint)
                if not began and not (text is not None and call.last):
                    await connection.execute("BEGIN")
                    began = True
                await _batch(connection, call, text)
                result = None
                continue
            if write and not began and not call.alone and (call.many or _writes(call.statement)):
                await connection.execute("BEGIN")
                began = True
            result = await _one(connection, call)
    except BaseException:
        if began and not connection.is_closed():
            await _roll_back(connection)
        raise
    finally:
        unit.close()


async def _roll_back(connection: Any) -> None:
    try:
        await connection.execute("ROLLBACK")
    except Exception:  # noqa: BLE001 - what the unit has failed of is raised; a cancellation, above all, stays one
        connection.terminate()  # it is in the middle of something; with it ends what was begun on it


async def _one(connection: Any, call: Call) -> Any:
    compiled = call.statement.compiled(POSTGRESQL)
    if call.many:
        await connection.executemany(compiled.text, compiled.argument_rows(call.params))
        return len(call.params)
    if compiled.returns_rows:
        return compiled.rows(await connection.fetch(compiled.text, *compiled.arguments(call.params)))
    status = await connection.execute(compiled.text, *compiled.arguments(call.params))
    return int(status.rsplit(" ", 1)[-1]) if status[-1:].isdigit() else 0


async def _batch(connection: Any, batch: Batch, text: str | None) -> None:
    if text is None:
        for call, expect in batch.calls:
            outcome = await _one(connection, call)
            if expect is not None and (outcome if isinstance(outcome, int) else len(outcome)) != expect:
                raise errors.Raced
        return
    from asyncpg import DivisionByZeroError

    arguments: list[Any] = []
    for call, _ in batch.calls:
        arguments += call.statement.compiled(POSTGRESQL).arguments(call.params)
    try:
        await connection.fetch(text, *arguments)
    except DivisionByZeroError as error:
        raise errors.Raced from error
