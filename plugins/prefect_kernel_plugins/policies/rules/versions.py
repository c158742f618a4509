"""Which clients speak which dialect of orchestration."""

from __future__ import annotations

import re
from functools import lru_cache

from prefect_kernel.transition import Move

PAUSES_SINCE = (0, 8, 4)
"""API version from which clients know pausing."""

RETRIES_SINCE = (0, 8, 3)
"""API version from which a flow's retry does not need its task runs to be reset."""

LEASES_SINCE = (3, 4, 11)
"""Client version from which deployment slots are leased, and the lease is kept up by the client."""

OWN_DEPLOYMENT_SLOTS = frozenset({"3.0.0rc20", "3.0.0", "3.0.1", "3.0.2", "3.0.3"})
"""Client versions whose workers take deployment slots themselves."""

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(.*)")
_BEFORE_RELEASE = re.compile(r"[._-]?(a|b|c|rc|alpha|beta|pre|dev)")


def knows_pauses(move: Move) -> bool:
    """Whether the caller knows pausing; a caller that does not say so is up to date."""
    return move.api_version is None or move.api_version >= PAUSES_SINCE


@lru_cache(64)
def is_at_least(version: str | None, wanted: tuple[int, int, int]) -> bool:
    """Whether a client version is the wanted release or newer; an unknown one is not."""
    found = _VERSION.match(version or "")
    if found is None:
        return False
    release = (int(found[1]), int(found[2]), int(found[3]))
    return release > wanted or (release == wanted and not _BEFORE_RELEASE.match(found[4]))
