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
            unknown = [tuple(one["loc"][1:]) for one in error.errors if one["type"] == "extra_forbidden"]
            if not unknown or not all(_leave_out(left, place) for place in unknown):
                break
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


def _leave_out(body: Any, place: tuple[Any, ...]) -> bool:
    """Take a field out of a body; False when it is not there, as with places that name a branch of a union."""
    *way, last = place
    try:
        for part in way:
            body = body[part]
        del body[last]
    except (KeyError, IndexError, TypeError):
        return False
    return True
