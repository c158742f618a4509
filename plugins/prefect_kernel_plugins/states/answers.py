"""The answer to a proposed state."""

from __future__ import annotations

from typing import Any

from prefect_kernel import web
from prefect_kernel.transition import Move

web.describe(
    "OrchestrationResult",
    {
        "type": "object",
        "title": "OrchestrationResult",
        "properties": {
            "state": {"type": ["object", "null"]},
            "status": {"enum": ["ACCEPT", "REJECT", "ABORT", "WAIT"]},
            "details": {"type": "object", "properties": {"type": {"type": "string"}}},
        },
        "required": ["state", "status", "details"],
    },
)


def orchestration_result(move: Move) -> dict[str, Any]:
    """The verdict; without a new state it shows the run's current one."""
    state = move.validated if move.validated is not None else move.initial
    return {
        "state": None if state is None else state.to_json(),
        "status": move.status,
        "details": move.details,
    }
