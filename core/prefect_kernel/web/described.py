"""Schemas of answers, by the names under which endpoints give them as `response`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..wire import Wire

described: dict[str, Wire | dict[str, Any]] = {}


def describe(name: str, answer: Wire | dict[str, Any]) -> None:
    """Say what an answer looks like: a wire encoder, or a JSON schema. `name[]` as a `response` is a list of it."""
    described[name] = answer
