"""The contract of lease storages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

from ...declare import Declared, carry_out, follow_up
from ...ids import uuid4
from ...ports.leases import Lease, LeaseStorage, RenewsAtOnce
from ...ports.storage import Storage
from ...sql import Unit
from ..clock import BEGIN

LIMIT, OTHER_LIMIT = uuid4(), uuid4()


class Leases:
    """A lease storage, with its units run and its declarations carried out."""

    def __init__(self, leases: LeaseStorage, storage: Storage | None) -> None:
        self.port, self.storage = leases, storage

    async def read(self, unit: Callable[..., Unit[Any]], *arguments: Any) -> Any:
        """Run one of the reading units."""
        if self.storage is not None:
            return await self.storage.read(unit, *arguments)
        generator = unit(*arguments)
        try:
            next(generator)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("The unit asks a database; say which with `LeaseContract.storage`.")

    async def change(self, declare: Callable[[Declared], None], *, roll_back: bool = False) -> None:
        """Declare changes on a unit of work, and commit it."""

        def unit() -> Unit[Declared]:
            declared = Declared()
            declare(declared)
            yield from carry_out(declared.writes)
            if roll_back:
                raise RolledBack
            return declared

        if self.storage is not None:
            declared = await self.storage.write(unit)
        else:
            declared = Declared()
            declare(declared)
            if declared.writes:
                raise AssertionError("The lease storage writes to a database; say which with `LeaseContract.storage`.")
            if roll_back:
                return
        await follow_up(declared.on_commit)

    async def create(self, lease: Lease) -> Lease:
        """Store a lease."""
        await self.change(lambda unit: self.port.create(unit, lease))
        return lease


class RolledBack(Exception):
    """The unit of work was given up."""


def lease(*limits: str, seconds: float = 60, begun: float = 0, holder: str | None = None) -> Lease:
    """A lease on some limits that began `begun` seconds after the test's begin."""
    who = None if holder is None else {"type": "flow_run", "id": holder}
    return Lease.new(list(limits or (LIMIT,)), 1, BEGIN + timedelta(seconds=begun), seconds, who)


class LeaseContract:
    """Leases come, are renewed and go with the transaction that declares it, and are found by limit and holder."""

    storage: Storage | None = None
    """The database that the leases are kept in, if they are kept in one; set by `open`."""

    def open(self, tmp_path: Path) -> AbstractAsyncContextManager[LeaseStorage]:
        """Give the lease storage to be tested, with no leases in it."""
        raise NotImplementedError

    def scenario(self, tmp_path: Path, act: Callable[[Leases], Awaitable[None]]) -> None:
        """Run a test's story with an open lease storage."""

        async def story() -> None:
            async with self.open(tmp_path) as leases:
                await act(Leases(leases, self.storage))

        asyncio.run(story())

    def test_a_lease_is_found_as_it_was_made(self, tmp_path: Path) -> None:
        """`get` gives an equal lease, with its limits, slots, times and holder; None for an id that is not there."""

        async def act(leases: Leases) -> None:
            made = await leases.create(lease(LIMIT, OTHER_LIMIT, holder=uuid4()))
            assert await leases.read(leases.port.get, made.id) == made
            assert await leases.read(leases.port.get, uuid4()) is None

        self.scenario(tmp_path, act)

    def test_a_renewed_lease_ends_later(self, tmp_path: Path) -> None:
        """Renewing moves the end and nothing else; renewing a lease that is not there makes none."""

        async def act(leases: Leases) -> None:
            made, absent = await leases.create(lease()), uuid4()
            later = BEGIN + timedelta(seconds=600)
            await leases.change(lambda unit: leases.port.renew(unit, made.id, later))
            await leases.change(lambda unit: leases.port.renew(unit, absent, later))
            assert await leases.read(leases.port.get, made.id) == made.until(later)
            assert await leases.read(leases.port.get, absent) is None

        self.scenario(tmp_path, act)

    def test_a_lease_renewed_at_once_ends_later(self, tmp_path: Path) -> None:
        """A storage that renews in one statement moves the end on all limits, and says whether there is the lease."""

        async def act(leases: Leases) -> None:
            if not isinstance(leases.port, RenewsAtOnce):
                return
            assert leases.storage is not None
            made, other, absent = await leases.create(lease(LIMIT, OTHER_LIMIT)), await leases.create(lease()), uuid4()
            later = BEGIN + timedelta(seconds=600)
            assert await leases.storage.write(leases.port.renew_if_there, made.id, later) is True
            assert await leases.storage.write(leases.port.renew_if_there, absent, later) is False
            assert await leases.read(leases.port.get, made.id) == made.until(later)
            assert await leases.read(leases.port.get, other.id) == other
            assert await leases.read(leases.port.expired, later) == [other.id]
            assert await leases.read(leases.port.get, absent) is None

        self.scenario(tmp_path, act)

    def test_a_revoked_lease_is_gone(self, tmp_path: Path) -> None:
        """After revoking, a lease is found in no way; revoking it again is no error."""

        async def act(leases: Leases) -> None:
            holder = uuid4()
            made = await leases.create(lease(LIMIT, LIMIT, holder=holder))
            for _ in range(2):
                await leases.change(lambda unit: leases.port.revoke(unit, made.id))
            assert await leases.read(leases.port.get, made.id) is None
            assert await leases.read(leases.port.of_limit, LIMIT, BEGIN) == []
            assert await leases.read(leases.port.of_holder, holder, [LIMIT], BEGIN) == []
            assert await leases.read(leases.port.expired, BEGIN + timedelta(days=1)) == []

        self.scenario(tmp_path, act)

    def test_what_is_rolled_back_leaves_nothing(self, tmp_path: Path) -> None:
        """Changes that were declared on a unit of work that is given up do not happen."""

        async def act(leases: Leases) -> None:
            kept, made = await leases.create(lease()), lease()

            def declare(unit: Declared) -> None:
                leases.port.create(unit, made)
                leases.port.revoke(unit, kept.id)

            try:
                await leases.change(declare, roll_back=True)
            except RolledBack:
                pass
            assert await leases.read(leases.port.get, kept.id) == kept
            assert await leases.read(leases.port.get, made.id) is None

        self.scenario(tmp_path, act)

    def test_leases_run_out(self, tmp_path: Path) -> None:
        """`expired` names the leases whose end has passed, at most `limit` of them, and no others."""

        async def act(leases: Leases) -> None:
            short = [await leases.create(lease(seconds=10)) for _ in range(3)]
            await leases.create(lease(seconds=1000))
            at = BEGIN + timedelta(seconds=11)
            assert await leases.read(leases.port.expired, BEGIN) == []
            assert {made.id for made in short} == set(await leases.read(leases.port.expired, at))
            assert len(await leases.read(leases.port.expired, at, 2)) == 2
            await leases.change(lambda unit: leases.port.renew(unit, short[0].id, BEGIN + timedelta(seconds=99)))
            assert {made.id for made in short[1:]} == set(await leases.read(leases.port.expired, at))

        self.scenario(tmp_path, act)

    def test_who_holds_a_limit(self, tmp_path: Path) -> None:
        """`of_limit` gives the leases on that limit which have a holder and have not run out, oldest first."""

        async def act(leases: Leases) -> None:
            second = await leases.create(lease(LIMIT, begun=2, holder=uuid4()))
            first = await leases.create(lease(LIMIT, OTHER_LIMIT, begun=1, holder=uuid4()))
            await leases.create(lease(LIMIT))  # nobody's
            await leases.create(lease(LIMIT, seconds=1, holder=uuid4()))  # over
            await leases.create(lease(OTHER_LIMIT, holder=uuid4()))
            at = BEGIN + timedelta(seconds=3)
            assert await leases.read(leases.port.of_limit, LIMIT, at) == [first, second]

        self.scenario(tmp_path, act)

    def test_what_somebody_holds(self, tmp_path: Path) -> None:
        """`of_holder` gives one holder's leases on any of some limits which have not run out, each once."""

        async def act(leases: Leases) -> None:
            me = uuid4()
            mine = await leases.create(lease(LIMIT, OTHER_LIMIT, begun=1, holder=me))
            also_mine = await leases.create(lease(OTHER_LIMIT, begun=2, holder=me))
            await leases.create(lease(LIMIT, seconds=1, holder=me))  # over
            await leases.create(lease(LIMIT, holder=uuid4()))
            at = BEGIN + timedelta(seconds=3)
            both = await leases.read(leases.port.of_holder, me, [LIMIT, OTHER_LIMIT], at)
            assert [mine, also_mine] == both
            assert await leases.read(leases.port.of_holder, me, [LIMIT], at) == [mine]
            assert await leases.read(leases.port.of_holder, me, [uuid4()], at) == []

        self.scenario(tmp_path, act)
