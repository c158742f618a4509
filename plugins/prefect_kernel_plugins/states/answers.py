"""The answer to a proposed state."""

from __future__ import annotations

from typing import Any

from prefect_kernel.transition import Move


def orchestration_result(move: Move) -> dict[str, Any]:
    """The verdict; without a new state it shows the run's current one."""
    state = move.validated if move.validated is not None else move.initial
    return {
        "state": None if state is None else state.to_json(),
        "status": move.status,
        "details": move.details,
    }
