"""The rule: a run that wants to start during a freeze waits for its end."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from prefect_kernel import FlowRule, Move

from .tables import COVERING


class HoldDuringFreeze(FlowRule):
    """Delay a start while a freeze lasts."""

    name = "acme.HoldDuringFreeze"
    from_states = {"SCHEDULED", "PENDING"}
    to_states = {"RUNNING"}
    inline = True  # it waits for nothing but its own read

    def before(self, move: Move) -> Generator[Any, Any, None]:
        rows = yield COVERING(at=move.now)
        if rows:
            ends, reason = rows[0]
            move.delay(ends, reason=f"A change freeze is on: {reason}")
