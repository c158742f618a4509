"""A random walk over taking, renewing, losing and giving back slots: none is leaked, and no limit is ever exceeded.

Several of these things are done at the same moment, clients repeat themselves and go away, transactions are broken off,
limits and runs are deleted, and the server is restarted. After every step the slots that are taken on each limit must
be those of the leases on it. `PREFECT_KERNEL_LEASE_STEPS=100000` is the full size.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import Answer, KernelUnderTest
from prefect_kernel_plugins.concurrency_limits_v2.slot_units import end_lease
from prefect_kernel_plugins.concurrency_limits_v2.tables import concurrency_limit_v2
from prefect_kernel_plugins.flow_runs.tables import flow_run
from prefect_kernel_plugins.leases_database.tables import kernel_lease

STEPS = int(os.environ.get("PREFECT_KERNEL_LEASE_STEPS", "2000"))
pytestmark = pytest.mark.timeout(300 + STEPS // 20)

CLIENT = {"user-agent": "prefect/3.8.8 (API 0.8.4)"}
OLD_CLIENT = {"user-agent": "prefect/3.4.0 (API 0.8.4)"}
LIMITS = 4
RUNS = 6
HOLDING = ("PENDING", "RUNNING", "CANCELLING")

_l, _k = concurrency_limit_v2, kernel_lease
_TAKEN = Statement(
    sa.select(
        _l.c.name,
        _l.c.limit,
        _l.c.active_slots,
        sa.select(sa.func.coalesce(sa.func.sum(_k.c.slots), 0)).where(_k.c.limit_id == _l.c.id).scalar_subquery(),
    )
)
_ENDS = Statement(sa.select(_k.c.lease_id, _k.c.expires))
_RUNS = Statement(sa.select(flow_run.c.id, flow_run.c.state_type))


def _rows(statement: Statement) -> Unit[list[Any]]:
    rows: list[Any] = yield statement()
    return rows


class BrokenOffError(Exception):
    """The transaction is given up."""


def _broken_off(kernel: Any, lease_id: str, now: datetime) -> Unit[None]:
    yield from end_lease(kernel, lease_id, now)
    raise BrokenOffError


@dataclass
class World:
    """The kernel, and what clients believe to hold."""

    random: Random
    stack: ExitStack
    home: Path
    url: str
    kernel: KernelUnderTest = field(init=False)
    deployment: str = ""
    starts: int = 0
    leases: dict[str, datetime] = field(default_factory=dict)
    """What clients were given and have not given back, and until when it is theirs without a renewal."""
    ended: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def start(self) -> None:
        """Start the kernel, as after a crash: nothing of the one before is left but the database."""
        self.starts += 1
        now = None if self.starts == 1 else self.now
        self.stack.close()
        opened = KernelUnderTest.opened(self.home / str(self.starts), [], self.url, {})
        self.kernel = self.stack.enter_context(opened)
        if now is not None:
            self.kernel.clock.set(now)

    @property
    def now(self) -> datetime:
        """The clock's time."""
        return self.kernel.clock.now()

    def rows(self, statement: Statement) -> list[Any]:
        """All rows of a statement."""
        return self.kernel.run(self.kernel.kernel.storage.read(_rows, statement))

    def ask(self, method: str, path: str, json: Any = None, headers: Any = CLIENT) -> Coroutine[Any, Any, Answer]:
        """A request."""
        return self.kernel.client.ask(method, path, json=json, headers=headers)

    # ------------------------------------------------------------ what clients do
    async def take(self) -> None:
        """Take slots on some limits, for a time."""
        names = self.random.sample([f"limit-{i}" for i in range(LIMITS)] + ["none"], self.random.randint(1, 2))
        body: dict[str, Any] = {"names": names, "slots": self.random.choice((1, 1, 2)), "mode": "concurrency"}
        seconds = self.random.choice((60, 120, 3000))
        if self.random.random() < 0.5:
            body["holder"] = {"type": "task_run", "id": uuid4()}
        answer = await self.ask(
            "POST", "/v2/concurrency_limits/increment-with-lease", {**body, "lease_duration": seconds}
        )
        self.counts[f"take {answer.status}"] += 1
        assert answer.status in (200, 423), answer.text
        if answer.status == 200:
            self.leases[answer.json()["lease_id"]] = self.now + _seconds(seconds)

    async def renew(self) -> None:
        """Keep a lease, which works as long as it is this client's, or nobody has taken it away."""
        id = self.some_lease()
        mine = id in self.leases and self.leases[id] > self.now
        answer = await self.ask("POST", f"/v2/concurrency_limits/leases/{id}/renew", {"lease_duration": 300})
        self.counts[f"renew {answer.status}"] += 1
        if answer.status == 204:
            if id in self.leases:  # it may be given back at the same moment
                self.leases[id] = self.now + _seconds(300)
        else:
            assert answer.status == 410, answer.text
            assert not mine or id not in self.leases, "a lease was lost before its end"
            self.leases.pop(id, None)

    async def give_back(self) -> None:
        """End a lease, perhaps one that has ended before."""
        id = self.some_lease()
        self.forget(id)
        answer = await self.ask("POST", "/v2/concurrency_limits/decrement-with-lease", {"lease_id": id})
        assert answer.status == 204, answer.text
        self.forget(id)
        self.counts["give back"] += 1

    async def die(self) -> None:
        """A client dies and will renew no more."""
        if self.leases:
            self.leases.pop(self.random.choice(list(self.leases)))

    async def break_off(self) -> None:
        """The server breaks off in the middle of giving back."""
        id, storage = self.some_lease(), self.kernel.kernel.storage
        with pytest.raises(BrokenOffError):
            await storage.write(_broken_off, self.kernel.kernel, id, self.now)

    async def repossess(self) -> None:
        """The service takes back what has run out."""
        await self.kernel.kernel.supervisor.services["repossessor"].tick()

    async def delete_limit(self) -> None:
        """A limit is deleted, and another one of its name is made."""
        name = f"limit-{self.random.randrange(LIMITS)}"
        if self.random.random() < 0.05:
            await self.ask("DELETE", f"/v2/concurrency_limits/{name}")
            await self.make_limit(name)
            self.counts["limit deleted"] += 1

    async def make_limit(self, name: str) -> None:
        """Make a limit."""
        await self.ask("POST", "/v2/concurrency_limits/", {"name": name, "limit": self.random.randint(2, 5)})

    async def propose(self) -> None:
        """A run of the deployment is made, claimed, started, ended, retried or deleted, by one client or another."""
        if len(self.runs) < RUNS:
            made = await self.ask("POST", f"/deployments/{self.deployment}/create_flow_run", {})
            assert made.status == 201, made.text
            self.runs.append(made.json()["id"])
        id, verb = self.random.choice(self.runs), self.random.choice(VERBS)
        headers = OLD_CLIENT if int(id[-1], 16) < 3 else CLIENT
        if verb == "DELETE":
            answer = await self.ask("DELETE", f"/flow_runs/{id}", headers=headers)
            assert answer.status in (204, 404), answer.text
            if id in self.runs:
                self.runs.remove(id)
        elif verb == "RENEW":
            run = (await self.ask("GET", f"/flow_runs/{id}")).json()
            lease_id = (run.get("state") or {}).get("state_details", {}).get("deployment_concurrency_lease_id")
            if lease_id:
                await self.ask("POST", f"/v2/concurrency_limits/leases/{lease_id}/renew", {"lease_duration": 300})
        else:
            type, name = verb
            state = {"type": type, "name": name}
            answer = await self.ask("POST", f"/flow_runs/{id}/set_state", {"state": state}, headers)
            assert answer.status in (200, 201, 404), answer.text
            if answer.status != 404:
                self.counts[f"{name} {answer.json()['status']}"] += 1

    # ------------------------------------------------------------ what is believed
    def some_lease(self) -> str:
        """One that somebody has, or had."""
        known = list(self.leases) + self.ended[-3:]
        return self.random.choice(known) if known else uuid4()

    def forget(self, id: str) -> None:
        """A lease is given back."""
        if self.leases.pop(id, None) is not None:
            self.ended.append(id)
            del self.ended[:-10]

    # ------------------------------------------------------------ what must hold
    def check(self) -> None:
        """Slots are those of leases, within their limits; no lease is lost before its end."""
        for name, limit, active, leased in self.rows(_TAKEN):
            assert active == leased, (name, active, leased)
            assert active <= limit, (name, active, limit)

    def check_leases(self) -> None:
        """Who was given a lease still has it, at least until then."""
        ends = dict(self.rows(_ENDS))
        for id, until in self.leases.items():
            assert until <= self.now or ends.get(id, self.now) >= until, (id, until, ends.get(id))


VERBS: list[Any] = [
    *[("PENDING", "Pending")] * 4,
    *[("RUNNING", "Running")] * 4,
    ("COMPLETED", "Completed"),
    ("FAILED", "Failed"),
    ("CRASHED", "Crashed"),
    ("CANCELLING", "Cancelling"),
    ("CANCELLED", "Cancelled"),
    ("SCHEDULED", "AwaitingRetry"),
    ("SCHEDULED", "Scheduled"),
    "DELETE",
    "RENEW",
]
ACTS = [
    *[World.take] * 8,
    *[World.renew] * 4,
    *[World.give_back] * 5,
    *[World.propose] * 5,
    World.die,
    World.break_off,
    World.repossess,
    World.delete_limit,
]


def _seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


async def _together(*acts: Coroutine[Any, Any, None]) -> None:
    await asyncio.gather(*acts)


def test_no_slot_is_leaked_and_no_limit_exceeded(prepared_url: str, tmp_path: Path) -> None:
    """Whatever happens, and in the end nothing is taken."""
    with ExitStack() as stack:
        world = World(Random(STEPS), stack, tmp_path, prepared_url)
        world.start()
        for i in range(LIMITS):
            world.kernel.run(world.make_limit(f"limit-{i}"))
        flow = world.kernel.client.post("/flows/", json={"name": "limited"}).json()["id"]
        body = {"name": "limited", "flow_id": flow, "concurrency_limit": 2}
        world.deployment = world.kernel.client.post("/deployments/", json=body).json()["id"]
        done = 0
        while done < STEPS:
            acts = [world.random.choice(ACTS) for _ in range(world.random.choice((1, 1, 2, 3)))]
            world.kernel.run(_together(*(act(world) for act in acts)))
            done += len(acts)
            world.check()
            if world.random.random() < 0.1:
                world.kernel.clock.advance(seconds=world.random.choice((1, 20, 90)))
            if world.random.random() < 0.05:
                world.check_leases()
            if world.random.random() < 0.001:
                world.start()
                world.check()
                world.check_leases()
        assert world.starts > 1 or STEPS < 2000
        for seen in ("take 200", "take 423", "renew 204", "renew 410", "Pending ACCEPT", "Pending REJECT"):
            assert world.counts[seen] > 0, seen
        _stop_everything(world)


def _stop_everything(world: World) -> None:
    """All runs end, all clients are gone: when the leases have run out, every slot is free."""
    for id, state_type in world.rows(_RUNS):
        if state_type in HOLDING:
            state = {"type": "CRASHED", "name": "Crashed"}
            world.kernel.client.post(f"/flow_runs/{id}/set_state", json={"state": state, "force": True})
    world.kernel.clock.advance(days=2)
    world.check()
    while world.rows(_ENDS):
        before = len(world.rows(_ENDS))
        world.kernel.run(world.repossess())
        assert len(world.rows(_ENDS)) < before
    world.check()
    assert [active for _, _, active, _ in world.rows(_TAKEN)] == [0] * (LIMITS + 1)
