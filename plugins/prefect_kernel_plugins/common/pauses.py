"""Pauses between attempts at something that fails: longer each time, up to a limit, and not the same in two processes.

Without that, all processes of a large installation ask again at the same moment, twice a second, of a server that has
just come back.
"""

from __future__ import annotations

import random


class Pauses:
    """The pauses, in seconds, of one thing that is tried again and again."""

    def __init__(self, first: float, longest: float) -> None:
        self._first, self._longest = first, longest
        self._failures = 0

    def next(self) -> float:
        """How long to wait after a further failure: between half of what doubling has led to, and all of it."""
        full = min(self._longest, self._first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return full * random.uniform(0.5, 1)

    def reset(self) -> None:
        """It worked: the next failure is the first one again."""
        self._failures = 0
