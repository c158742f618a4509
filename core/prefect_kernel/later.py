"""Types that are made when they are first needed.

A server has about a hundred bodies that filter lists. To make the models of all of them takes a twentieth of the time
in which it should answer, and a client sends a few of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Later:
    """A type, for example the model of a body, that is made when it is first asked for, and once."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    @property
    def type(self) -> Any:
        """The type."""
        if self._made is None:
            self._made = self._make()
        return self._made


def made(given: Any) -> Any:
    """The type that is meant, made if need be."""
    return given.type if isinstance(given, Later) else given


__all__ = ["Later", "made"]
