"""Declaring writes: what a unit of work decides first and carries out at its end, and what follows its commit."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .sql import Batch, Call, Unit


class Declares(Protocol):
    """A unit of work on which writes, and what follows its commit, can be declared: a `Move`, or a `Declared`."""

    on_commit: list[Any]
    """Functions without arguments, called once the transaction is committed; an awaitable they return is awaited."""

    def write(self, call: Call, expect: int | None = None) -> None:
        """Have a statement run in the transaction; `expect` is the number of rows that it must touch."""
        ...


@dataclass
class Declared:
    """Declarations of a unit that is not a transition; make one in the unit, so that a repeated unit starts anew."""

    writes: list[tuple[Call, int | None]] = field(default_factory=list)
    on_commit: list[Any] = field(default_factory=list)

    def write(self, call: Call, expect: int | None = None) -> None:
        """See `Declares`."""
        self.writes.append((call, expect))


def carry_out(writes: list[tuple[Call, int | None]], *, last: bool = False) -> Unit[None]:
    """Run declared writes, in order. Raises Raced when one of them did not touch as many rows as expected.

    For `last` see `Batch`.
    """
    if writes:
        yield Batch(writes, last=last)


async def follow_up(on_commit: Iterable[Any]) -> None:
    """Do what was declared to follow the commit, in order."""
    for action in on_commit:
        result = action()
        if inspect.isawaitable(result):
            await result
