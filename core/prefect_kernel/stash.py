"""What plugins keep on a kernel for their own routes, rules and services.

Each thing has a key, a module-level constant of the plugin that keeps it, so that plugins invent no attributes on the
kernel, cannot collide, and type checkers know what they find.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class StashKey(Generic[T]):
    """Names one thing: `SINK = StashKey[EventSink]("the event sink")`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"StashKey({self.name!r})"


class Stash:
    """Things by their keys."""

    def __init__(self) -> None:
        self._things: dict[StashKey[Any], object] = {}

    def __setitem__(self, key: StashKey[T], thing: T) -> None:
        self._things[key] = thing

    def __getitem__(self, key: StashKey[T]) -> T:
        try:
            return cast(T, self._things[key])
        except KeyError:
            raise KeyError(f"{key.name}: the plugin that provides it has not been loaded") from None

    def __contains__(self, key: StashKey[Any]) -> bool:
        return key in self._things
