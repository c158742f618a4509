"""The contract of storages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ... import errors
from ...events import outbox
from ...ids import uuid4
from ...migrations import ledger
from ...ports.storage import Storage
from ...sql import Batch, Call, Statement, Unit, in_list, point_read
from ...sql.types import JSON, UUID, Timestamp
from ..clock import BEGIN

# The contract's rows live in two tables that every database of the kernel has.
PUT = Statement(
    sa.insert(outbox).values(
        id=sa.bindparam("id", type_=UUID()),
        event=sa.bindparam("event", type_=sa.Text()),
        created=sa.bindparam("created", type_=Timestamp()),
    )
)
GET = Statement(
    sa.select(outbox.c.id, outbox.c.event, outbox.c.created).where(outbox.c.id == sa.bindparam("id", type_=UUID()))
)
AMONG = Statement(sa.select(outbox.c.event).where(in_list(outbox.c.id, "ids")).order_by(outbox.c.event))
REMOVE = Statement(sa.delete(outbox).where(in_list(outbox.c.id, "ids")).returning(outbox.c.event))
CHANGE = Statement(
    sa.update(outbox)
    .values(event=sa.bindparam("new", type_=sa.Text()))
    .where(outbox.c.id == sa.bindparam("of", type_=UUID()), outbox.c.event == sa.bindparam("old", type_=sa.Text()))
)
NAME = Statement(
    sa.insert(ledger).values(
        plugin=sa.bindparam("plugin", type_=sa.String()),
        revision=sa.bindparam("revision", type_=sa.String()),
        applied=sa.bindparam("applied", type_=Timestamp()),
    )
)


def put(id: str, event: str) -> Unit[int]:
    """Write a row."""
    count: int = yield PUT(id=id, event=event, created=BEGIN)
    return count


def get(id: str) -> Unit[str | None]:
    """The text of a row."""
    rows = yield GET(id=id)
    return rows[0][1] if rows else None


class Gone(Exception):
    """The unit gives up."""


class StorageContract:
    """Units are atomic, isolated and restartable; values come back as they went in; errors are the kernel's."""

    def open(self, tmp_path: Path) -> AbstractAsyncContextManager[Storage]:
        """Give the storage to be tested, open, on a database of this test's own."""
        raise NotImplementedError

    def scenario(self, tmp_path: Path, act: Callable[[Storage], Awaitable[None]]) -> None:
        """Run a test's story with an open storage."""

        async def story() -> None:
            async with self.open(tmp_path) as storage:
                await act(storage)

        asyncio.run(story())

    # ------------------------------------------------------------ values
    def test_a_unit_gives_its_value_and_its_writes_are_there(self, tmp_path: Path) -> None:
        """`write` gives what the unit returns, and what it wrote is seen by the next read of either kind."""

        async def act(storage: Storage) -> None:
            id = uuid4()
            assert await storage.write(put, id, "text") == 1
            assert await storage.read(get, id) == "text"
            assert await storage.read(point_read(get), id) == "text"

        self.scenario(tmp_path, act)

    def test_canonical_values(self, tmp_path: Path) -> None:
        """Ids come back as lower-case text, times aware in UTC to the microsecond, text with every character."""

        async def act(storage: Storage) -> None:
            id, text, at = uuid4(), "naïve ☃ 𝄞 ' \" \\ % :x", BEGIN.replace(microsecond=123456)

            def store() -> Unit[None]:
                yield PUT(id=id, event=text, created=at)

            def look() -> Unit[list[tuple[object, ...]]]:
                rows: list[tuple[object, ...]] = yield GET(id=id)
                return rows

            await storage.write(store)
            assert [(id, text, at)] == [tuple(row) for row in await storage.read(look)]

        self.scenario(tmp_path, act)

    def test_lists_of_any_length(self, tmp_path: Path) -> None:
        """One statement takes lists of no, some and many items; RETURNING gives the rows that were touched."""

        async def act(storage: Storage) -> None:
            ids = [uuid4() for _ in range(2000)]

            def fill() -> Unit[int]:
                rows = [{"id": id, "event": f"{i:04}", "created": BEGIN} for i, id in enumerate(ids)]
                count: int = yield PUT.many(list(rows))
                return count

            def among(some: list[str]) -> Unit[list[str]]:
                return [row[0] for row in (yield AMONG(ids=some))]

            def remove(some: list[str]) -> Unit[set[str]]:
                return {row[0] for row in (yield REMOVE(ids=some))}

            assert await storage.write(fill) == 2000
            assert await storage.read(among, []) == []
            assert await storage.read(among, ids[:2]) == ["0000", "0001"]
            assert len(await storage.read(among, ids)) == 2000
            assert await storage.write(remove, ids[5:7]) == {"0005", "0006"}
            assert len(await storage.read(among, ids)) == 1998

        self.scenario(tmp_path, act)

    # ------------------------------------------------------------ transactions
    def test_a_unit_that_raises_leaves_nothing(self, tmp_path: Path) -> None:
        """What a unit wrote before it raised is gone, and the caller gets what it raised."""

        async def act(storage: Storage) -> None:
            id = uuid4()

            def unit() -> Unit[None]:
                yield from put(id, "half")
                raise Gone

            with pytest.raises(Gone):
                await storage.write(unit)
            assert await storage.read(get, id) is None

        self.scenario(tmp_path, act)

    def test_units_do_not_fail_for_each_other(self, tmp_path: Path) -> None:
        """Of many units at once, each is committed or rolled back by itself."""

        async def act(storage: Storage) -> None:
            ids = [uuid4() for _ in range(40)]

            def unit(number: int) -> Unit[int]:
                yield from put(ids[number], str(number))
                if number % 3 == 0:
                    raise Gone
                return number

            outcomes = await asyncio.gather(*(storage.write(unit, n) for n in range(40)), return_exceptions=True)
            for number, outcome in enumerate(outcomes):
                assert isinstance(outcome, Gone) if number % 3 == 0 else outcome == number
                assert await storage.read(get, ids[number]) == (None if number % 3 == 0 else str(number))

        self.scenario(tmp_path, act)

    def test_nothing_is_lost_between_racing_units(self, tmp_path: Path) -> None:
        """Units that read, and write only if nothing has changed since, all come through when they race."""

        async def act(storage: Storage) -> None:
            id = uuid4()
            await storage.write(put, id, "0")

            def increase() -> Unit[int]:
                rows = yield GET(id=id)
                old = rows[0][1]
                new = str(int(old) + 1)
                if (yield CHANGE(of=id, old=old, new=new)) != 1:
                    raise errors.Raced
                return int(new)

            async def patient() -> int:
                while True:
                    try:
                        return await storage.write(increase)
                    except errors.Raced:  # the driver has tried a few times
                        continue

            numbers = await asyncio.gather(*(patient() for _ in range(20)))
            assert sorted(numbers) == list(range(1, 21))
            assert await storage.read(get, id) == "20"

        self.scenario(tmp_path, act)

    def test_a_raced_unit_is_run_again_from_its_start(self, tmp_path: Path) -> None:
        """A unit that finds itself overtaken is run again, without what it had written; but not for ever."""

        async def act(storage: Storage) -> None:
            starts = 0
            id = uuid4()

            def second_time_lucky() -> Unit[str | None]:
                nonlocal starts
                starts += 1
                before = yield from get(id)
                yield from put(id, "mine")
                if starts == 1:
                    raise errors.Raced
                return before

            def never() -> Unit[None]:
                yield from get(id)
                raise errors.Raced

            assert await storage.write(second_time_lucky) is None
            assert starts == 2
            with pytest.raises(errors.Raced):
                await storage.write(never)

        self.scenario(tmp_path, act)

    def test_a_batch_is_all_or_nothing(self, tmp_path: Path) -> None:
        """A batch writes all its calls, or none and is Raced when one touches another number of rows than expected."""

        async def act(storage: Storage) -> None:
            one, two = uuid4(), uuid4()

            def batch(new: str, expect: int, last: bool) -> Unit[None]:
                calls: list[tuple[Call, int | None]] = [
                    (PUT(id=two, event=new, created=BEGIN), 1),
                    (CHANGE(of=one, old="old", new=new), expect),
                ]
                yield Batch(calls, last=last)

            for last in (False, True):
                await storage.write(put, one, "old")
                with pytest.raises(errors.Raced):
                    await storage.write(batch, "new", 2, last)
                assert (await storage.read(get, one), await storage.read(get, two)) == ("old", None)
                await storage.write(batch, "new", 1, last)
                assert (await storage.read(get, one), await storage.read(get, two)) == ("new", "new")
                one, two = uuid4(), uuid4()

        self.scenario(tmp_path, act)

    def test_a_caller_who_leaves_does_no_harm(self, tmp_path: Path) -> None:
        """A caller that is cancelled leaves the storage usable, and its unit's effect whole or absent."""

        async def act(storage: Storage) -> None:
            ids = [uuid4() for _ in range(10)]

            def both(id: str) -> Unit[None]:
                yield from put(id, "a")
                yield from put(id, "b")

            def count(id: str) -> Unit[int]:
                return len((yield GET(id=id)))

            tasks = [asyncio.create_task(storage.write(both, id)) for id in ids]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await storage.write(put, uuid4(), "still here")
            assert all([await storage.read(count, id) in (0, 2) for id in ids[::2]])
            assert all([await storage.read(count, id) == 2 for id in ids[1::2]])

        self.scenario(tmp_path, act)

    # ------------------------------------------------------------ errors
    def test_broken_constraints(self, tmp_path: Path) -> None:
        """A key that is taken is UniqueViolation, a missing value IntegrityViolation; the storage goes on."""

        async def act(storage: Storage) -> None:
            def name(revision: str | None) -> Unit[None]:
                yield NAME(plugin="contract", revision=revision, applied=BEGIN)

            await storage.write(name, "1")
            with pytest.raises(errors.UniqueViolation):
                await storage.write(name, "1")
            with pytest.raises(errors.IntegrityViolation):
                await storage.write(name, None)
            await storage.write(name, "2")

        self.scenario(tmp_path, act)

    def test_values_that_cannot_be_stored(self, tmp_path: Path) -> None:
        """A lone surrogate or a NUL character is InvalidValue, and nothing of its unit is kept."""

        async def act(storage: Storage) -> None:
            id = uuid4()

            def unit(text: str) -> Unit[None]:
                yield from put(id, "fine")
                yield from put(uuid4(), text)

            for text in ("\ud800", "\0", "a\0b"):
                with pytest.raises(errors.InvalidValue):
                    await storage.write(unit, text)
                assert await storage.read(get, id) is None

        self.scenario(tmp_path, act)

    def test_nul_characters_in_documents_and_questions(self, tmp_path: Path) -> None:
        """InvalidValue in a document that may be searched and in a list to look for; taken in one that is only kept."""

        async def act(storage: Storage) -> None:
            def ask(document: Any, binary: bool) -> Unit[Any]:
                rows = yield Statement(sa.select(sa.bindparam("it", type_=JSON(binary))))(it=document)
                return rows[0][0]

            def among(names: list[str]) -> Unit[Any]:
                rows = yield Statement(sa.select(ledger.c.revision).where(in_list(ledger.c.plugin, "names")))(
                    names=names
                )
                return rows

            for document in ("\0", {"\0": 1}, ["\\", {"a": "\\\0"}]):
                with pytest.raises(errors.InvalidValue, match="NUL"):
                    await storage.read(ask, document, True)
            for binary in (True, False):
                assert await storage.read(ask, ["\\u0000", "\\\\u0000"], binary) == ["\\u0000", "\\\\u0000"]
            assert await storage.read(ask, {"a": "\0"}, False) == {"a": "\0"}
            with pytest.raises(errors.InvalidValue, match="NUL"):
                await storage.read(among, ["a", "\0"])

        self.scenario(tmp_path, act)

    def test_a_wrong_statement(self, tmp_path: Path) -> None:
        """A statement that the database refuses is StorageError, and the storage goes on."""

        async def act(storage: Storage) -> None:
            def wrong() -> Unit[None]:
                yield Statement(sa.text("SELECT nothing FROM nowhere"))()

            with pytest.raises(errors.StorageError):
                await storage.read(wrong)
            with pytest.raises(errors.StorageError):
                await storage.write(wrong)
            await storage.ping()

        self.scenario(tmp_path, act)
