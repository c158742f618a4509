"""The last decisions, in a ring: appending one costs well under a microsecond, looking some up reads the whole ring."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prefect_kernel.stash import StashKey
from prefect_kernel.transition import Move

EFFECTS = "explain.effects"
"""Key of a move's context under which watched rules leave what they have changed: (rule, hook, changes)."""


@dataclass(slots=True)
class Decision:
    """What is kept of a decided transition: no run, no parameters, no data of states."""

    at: datetime
    kind: str
    run_id: str
    intended: tuple[str | None, str | None]
    policies: tuple[str, ...]
    status: str
    details: dict[str, Any]
    given: tuple[str, str] | None
    """Type and name of the state that was written."""
    trail: list[tuple[str, str, str | None]]
    effects: list[tuple[str, str, list[str]]] | None = None


def decision(move: Move) -> Decision:
    """What is to be kept of a move."""
    state = move.validated
    return Decision(
        move.now,
        move.kind,
        move.run["id"],
        move.intended,
        move.policies,
        move.status,
        move.details,
        None if state is None else (state.type, state.name),
        move.trail,
        move.context.get(EFFECTS),
    )


class Decisions:
    """A bounded memory of decisions."""

    def __init__(self, size: int) -> None:
        self._ring: deque[Decision] = deque(maxlen=size)

    def note(self, move: Move) -> None:
        """Remember a move."""
        self._ring.append(decision(move))

    def of(self, run_id: str) -> list[Decision]:
        """The decisions about a run, newest first."""
        return [found for found in reversed(self._ring) if found.run_id == run_id]


DECISIONS = StashKey[Decisions]("the last decisions")
