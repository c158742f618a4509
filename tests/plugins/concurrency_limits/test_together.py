"""Many requests for slots in one transaction come to what they come to one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.concurrency_limits_v2.schemas import (
    Decrement,
    DecrementWithLease,
    Increment,
    IncrementWithLease,
)
from prefect_kernel_plugins.concurrency_limits_v2.slot_units import end_lease, give_back, take
from prefect_kernel_plugins.concurrency_limits_v2.tables import concurrency_limit_v2 as t
from prefect_kernel_plugins.concurrency_limits_v2.together import Request, settle
from prefect_kernel_plugins.leases_database.tables import kernel_lease
from tests.support.prepared import Prepared
from tests.support.services import Postgres

PATH = "/v2/concurrency_limits"
_LIMITS = Statement(
    sa.select(t.c.name, t.c.active_slots, t.c.denied_slots, t.c.updated, t.c.avg_slot_occupancy_seconds).order_by(
        t.c.name
    )
)
_k = kernel_lease
_LEASES = Statement(
    sa.select(t.c.name, _k.c.number, _k.c.slots, _k.c.created, _k.c.expires, _k.c.holder_type, _k.c.holder_id)
    .select_from(_k.outerjoin(t, t.c.id == _k.c.limit_id))
    .order_by(_k.c.created, t.c.name, _k.c.number, _k.c.slots, _k.c.holder_id)
)


def _rows(statement: Statement) -> Unit[list[Any]]:
    rows: list[Any] = yield statement()
    return rows


@pytest.fixture
def urls(prepared: Prepared, postgres: Postgres) -> Iterator[list[str]]:
    """Two PostgreSQL databases, dropped once the kernels are closed."""
    made = [prepared.postgresql() for _ in range(2)]
    yield made
    for url in made:
        postgres.drop_database(url)


@pytest.fixture
def pair(urls: list[str], make_kernel: MakeKernel) -> list[KernelUnderTest]:
    """Two kernels on two databases with the same limits."""
    kernels = [make_kernel(storage=url) for url in urls]
    for kernel in kernels:
        for name, limit, more in _GIVEN:
            assert kernel.client.post(f"{PATH}/", json={"name": name, "limit": limit, **more}).status == 201
    return kernels


_GIVEN: list[tuple[str, int, dict[str, Any]]] = [
    ("a", 3, {}),
    ("b", 6, {}),
    ("c", 5, {"slot_decay_per_second": 0.3}),
    ("d", 2, {"active": False}),
    ("e", 0, {}),
    ("tag:f", 4, {"denied_slots": 9}),
]
_HOLDER: Any = {"type": "task_run", "id": uuid4()}
Outcome = tuple[list[str], bool, str | None] | str


def _request(random: Random, leases: int) -> Callable[[list[str]], Request]:
    """A request, for a kernel that has given out these leases."""
    names = random.sample(["a", "b", "c", "d", "e", "tag:f", "none"], random.randint(1, 3))
    slots = random.choice((1, 1, 1, 2, 4))
    body: Request
    match random.randint(0, 3):
        case 0:
            body = Increment(names=names, slots=slots, mode=random.choice(("concurrency", "rate_limit")))
        case 1:
            body = IncrementWithLease(names=names, slots=slots, holder=random.choice((None, _HOLDER)))
        case 2:
            seconds = random.choice((None, 0.01, 7.0, 300.0))
            body = Decrement(names=names, slots=slots, occupancy_seconds=seconds)
        case _ if leases:
            number = random.randrange(leases)
            return lambda given: DecrementWithLease(lease_id=UUID(given[number]))
        case _:
            body = DecrementWithLease(lease_id=UUID(uuid4()))
    return lambda _: body


def _one_by_one(kernel: KernelUnderTest, requests: list[Request]) -> list[Outcome]:
    """What becomes of requests that are made one after the other, those that give back first."""
    write, now = kernel.kernel.storage.write, kernel.clock.now()
    outcomes: dict[int, Outcome] = {}
    for number in sorted(range(len(requests)), key=lambda n: isinstance(requests[n], Increment | IncrementWithLease)):
        body = requests[number]
        try:
            if isinstance(body, Decrement):
                outcomes[number] = _names(kernel.run(write(give_back, kernel.kernel, body, now))), True, None
            elif isinstance(body, DecrementWithLease):
                kernel.run(write(end_lease, kernel.kernel, str(body.lease_id), now))
                outcomes[number] = [], True, None
            else:
                limits, declared, lease = kernel.run(write(take, kernel.kernel, body, now))
                outcomes[number] = _names(limits), declared is not None, lease.id if lease else None
        except errors.Unprocessable as error:
            outcomes[number] = str(error)
    return [outcomes[number] for number in range(len(requests))]


def _together(kernel: KernelUnderTest, requests: list[Request]) -> list[Outcome]:
    outcomes = kernel.run(kernel.kernel.storage.write(settle, kernel.kernel, requests, kernel.clock.now()))
    return [
        str(one) if isinstance(one, Exception) else (_names(one[0]), one[1], one[2].id if one[2] else None)
        for one in outcomes
    ]


def _names(limits: list[dict[str, Any]]) -> list[str]:
    return [limit["name"] for limit in limits]


def _all(kernel: KernelUnderTest, statement: Statement) -> list[Any]:
    return kernel.run(kernel.kernel.storage.read(_rows, statement))


def test_as_one_after_the_other(pair: list[KernelUnderTest]) -> None:
    """Outcomes, limits and leases are the same."""
    random = Random(4)
    given: list[list[str]] = [[], []]
    seen: set[str] = set()
    for _ in range(80):
        now = pair[0].clock.advance(seconds=random.choice((0, 1, 20)))
        pair[1].clock.set(now)
        made = [_request(random, len(given[0])) for _ in range(random.randint(1, 9))]
        answers = []
        for kernel, carry_out, leases in zip(pair, (_one_by_one, _together), given, strict=True):
            outcomes = carry_out(kernel, [make(leases) for make in made])
            leases += [one[2] for one in outcomes if not isinstance(one, str) and one[2]]
            answers.append([one if isinstance(one, str) else one[:2] for one in outcomes])
        assert answers[0] == answers[1]
        seen |= {one[:20] if isinstance(one, str) else str(one[1]) for one in answers[0]}
        *rest, averages = zip(*_all(pair[0], _LIMITS), strict=True)
        *others, other_averages = zip(*_all(pair[1], _LIMITS), strict=True)
        assert rest == others
        assert averages == pytest.approx(other_averages)
        assert _all(pair[0], _LEASES) == _all(pair[1], _LEASES)
    assert len(given[0]) > 20
    assert seen == {"True", "False", "Slots requested is g", "Only concurrency lim"}


def test_too_many_slots_are_the_fault_of_one(pair: list[KernelUnderTest]) -> None:
    """What no integer of the database holds is refused as it is alone, and the others get what they want."""
    kernel = pair[0]
    bodies = [{"names": ["b"], "slots": slots} for slots in (1, 1, 2**40, 1)]

    async def ask() -> list[int]:
        asked = (kernel.client.ask("POST", f"{PATH}/decrement", json=body) for body in bodies)
        return [answer.status for answer in await asyncio.gather(*asked)]

    alone = kernel.client.post(f"{PATH}/decrement", json=bodies[2]).status
    assert alone // 100 == 4
    assert kernel.run(ask()) == [200, 200, alone, 200]
