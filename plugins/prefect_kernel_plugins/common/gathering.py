"""Requests that wait at the same time are carried out together, by one transaction instead of one each.

A request that finds nothing under way is carried out at once, by itself. While it is, others gather; then all of them
are carried out together. So nobody waits for company, and the more wait, the less each of them costs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from prefect_kernel import errors

A = TypeVar("A")
R = TypeVar("R")

MOST = 64
"""Requests that are carried out together: bounds how long the first of them waits for the last."""


class Gathering(Generic[A, R]):
    """Carries out requests: `alone` does one, `together` several and gives the outcome, or the error, of each.

    Where `together` fails as a whole, nothing of it has happened, and each is carried out alone, so that the one that
    is to blame fails alone. Only when the database was away is it open what has happened; then all are told so.
    """

    def __init__(
        self, alone: Callable[[A], Awaitable[R]], together: Callable[[list[A]], Awaitable[Sequence[R | Exception]]]
    ) -> None:
        self._alone, self._together = alone, together
        self._waiting: deque[tuple[A, asyncio.Future[R]]] = deque()
        self._busy = False
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, request: A) -> R:
        """Carry out a request; returns or raises once it is known what has become of it."""
        if not self._busy:
            self._busy = True
            try:
                return await self._alone(request)
            finally:
                self._go_on()
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        return await future

    def _go_on(self) -> None:
        """What has gathered is carried out by a task of its own, which outlives any of those who wait for it."""
        self._busy = bool(self._waiting)
        if self._busy:
            self._task = asyncio.create_task(self._run(), name="gathered requests")

    async def _run(self) -> None:
        try:
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
                await self._settle([each for each in taken if not each[1].done()])  # whoever has gone asks for nothing
        finally:
            self._go_on()

    async def _settle(self, taken: list[tuple[A, asyncio.Future[R]]]) -> None:
        if len(taken) > 1 and await self._settled_together(taken):
            return
        for request, future in taken:
            try:
                outcome = await self._alone(request)
            except Exception as error:  # noqa: BLE001 - it is raised where the request was made
                _tell(future, error)
            else:
                _tell(future, outcome)

    async def _settled_together(self, taken: list[tuple[A, asyncio.Future[R]]]) -> bool:
        try:
            outcomes = await self._together([request for request, _ in taken])
        except errors.StorageUnavailable as error:
            outcomes = [errors.StorageUnavailable(str(error)) for _ in taken]
        except Exception:  # noqa: BLE001 - it is raised again by the one whom it concerns
            return False
        except BaseException:
            for _, future in taken:
                future.cancel()
            raise
        for (_, future), outcome in zip(taken, outcomes, strict=True):
            _tell(future, outcome)
        return True


def _tell(future: asyncio.Future[R], outcome: R | Exception) -> None:
    if future.done():  # the one who waited has gone
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
