"""Bodies of clients that are newer than the server: what it does not know is left out, and said once."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

from .. import errors

if TYPE_CHECKING:
    from .group import Endpoint
    from .validation import BodyReader

log = logging.getLogger("prefect_kernel.web")

ROUNDS = 8
"""How often a body is validated again: an object may hide that objects within it have unknown fields, too."""

MOST_WARNED = 1000
"""Fields that are remembered as warned about; whoever sends more is not a newer client."""


class UnknownFields:
    """Validates bodies without their unknown fields."""

    def __init__(self) -> None:
        self._warned: set[tuple[str, str]] = set()

    def validate(self, endpoint: Endpoint, read: BodyReader, body: Any, error: errors.InvalidRequest) -> Any:
        """The body as its type, when unknown fields are all that is wrong. Raises InvalidRequest otherwise."""
        left, first = copy.deepcopy(body), error
        ignored: list[tuple[Any, ...]] = []
        for _ in range(ROUNDS):
            mistakes = [(tuple(one["loc"][1:]), one["type"] == "extra_forbidden") for one in error.errors]
            unknown = _unknown(left, mistakes)
            if not unknown:
                break
            for place in unknown:
                _leave_out(left, place)
            ignored += unknown
            try:
                validated = read.validate(left)
            except errors.InvalidRequest as further:
                error = further
                continue
            self._warn(endpoint, ignored)
            return validated
        raise first

    def _warn(self, endpoint: Endpoint, unknown: list[tuple[Any, ...]]) -> None:
        for place in unknown:
            key = endpoint.path, ".".join("[]" if isinstance(part, int) else str(part)[:80] for part in place)
            if key not in self._warned and len(self._warned) < MOST_WARNED:
                self._warned.add(key)
                log.warning(
                    "%s %s: field %r is not known and ignored; the client may be newer than this server",
                    endpoint.method,
                    *key,
                )


Place = tuple[Any, ...]


def _unknown(body: Any, mistakes: list[tuple[Place, bool]]) -> list[Place] | None:
    """Where the unknown fields are, when they are all that is wrong; None when there is more.

    A mistake is its place, and whether it is an unknown field. In a union there are mistakes of every branch, below the
    branch's name, which is no field of the body: one branch has to fit, and fields that others do not know may stay.
    """
    found: list[Place] = []
    within: dict[Any, list[tuple[Place, bool]]] = {}
    branches: dict[Any, list[tuple[Place, bool]]] = {}
    for place, unknown in mistakes:
        if not place:
            return None
        first, *rest = place
        if not rest and unknown and _has(body, first):
            found.append((first,))
        elif rest and _has(body, first):
            within.setdefault(first, []).append((tuple(rest), unknown))
        elif rest and isinstance(first, str):
            branches.setdefault(first, []).append((tuple(rest), unknown))
        else:
            return None
    for part, inner in within.items():
        places = _unknown(body[part], inner)
        if places is None:
            return None
        found += [(part, *place) for place in places]
    if branches:
        fitting = [places for inner in branches.values() if (places := _unknown(body, inner)) is not None]
        if not fitting:
            return None
        best: list[Place] = min(fitting, key=len)
        found += best
    return found


def _has(body: Any, part: Any) -> bool:
    if isinstance(body, dict):
        return part in body
    return isinstance(body, list) and isinstance(part, int) and part < len(body)


def _leave_out(body: Any, place: Place) -> None:
    *way, last = place
    for part in way:
        body = body[part]
    del body[last]
