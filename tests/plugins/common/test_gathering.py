"""Requests that wait at the same time are carried out together."""

from __future__ import annotations

import asyncio

import pytest

from prefect_kernel import errors
from prefect_kernel_plugins.common.gathering import MOST, Gathering

pytestmark = pytest.mark.asyncio


class Place:
    """Doubles numbers, slowly; some numbers cannot be doubled, and some spoil it for all."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.away = False
        self.double = Gathering(self._one, self._many)

    async def _one(self, number: int) -> int:
        self.sizes.append(1)
        await asyncio.sleep(0.001)
        if number < 0:
            raise ValueError(number)
        return number * 2

    async def _many(self, numbers: list[int]) -> list[int | Exception]:
        self.sizes.append(len(numbers))
        await asyncio.sleep(0.001)
        if self.away:
            raise errors.StorageUnavailable("away")
        if min(numbers) < 0:
            raise ValueError(min(numbers))
        return [errors.NotFound() if number == 0 else number * 2 for number in numbers]


async def test_who_is_alone_does_not_wait() -> None:
    """One after the other, each is carried out by itself."""
    place = Place()
    assert [await place.double(number) for number in (1, 2, 3)] == [2, 4, 6]
    assert place.sizes == [1, 1, 1]


async def test_those_who_wait_go_together() -> None:
    """Each gets its own outcome; the number of those who go together is bounded."""
    place = Place()
    asked = MOST + 20
    outcomes = await asyncio.gather(*(place.double(n) for n in range(1, asked + 1)))
    assert outcomes == [n * 2 for n in range(1, asked + 1)]
    assert place.sizes == [1, MOST, asked - MOST - 1]
    assert await place.double(5) == 10


async def test_an_error_is_that_of_one() -> None:
    """It is raised for the one that it concerns, whether it is told apart or all has failed because of it."""
    place = Place()
    outcomes = await asyncio.gather(*map(place.double, (1, 0, 2)), return_exceptions=True)
    assert [outcomes[0], type(outcomes[1]), outcomes[2]] == [2, errors.NotFound, 4]
    outcomes = await asyncio.gather(*map(place.double, (1, -1, 2)), return_exceptions=True)
    assert [outcomes[0], type(outcomes[1]), outcomes[2]] == [2, ValueError, 4]
    with pytest.raises(ValueError, match="-1"):
        await place.double(-1)


async def test_nothing_is_repeated_when_the_database_is_away() -> None:
    """It is open what has happened, so each is told so."""
    place = Place()
    place.away = True
    outcomes = await asyncio.gather(*map(place.double, (1, 2, 3)), return_exceptions=True)
    assert outcomes[0] == 2
    assert [type(outcome) for outcome in outcomes[1:]] == [errors.StorageUnavailable] * 2
    assert place.sizes == [1, 2]


async def test_who_goes_away_disturbs_nobody() -> None:
    """Neither the one whose request is carried out nor one that waits."""
    place = Place()
    first, second, third = (asyncio.create_task(place.double(n)) for n in (1, 2, 3))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    assert await third == 6
    assert await place.double(4) == 8
