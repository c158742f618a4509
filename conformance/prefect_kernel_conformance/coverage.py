"""Which rules the cases made fire, let pass, and come after another one: measured by the kernel itself.

The kernel counts when it is started with PREFECT_KERNEL_EXPLAIN_COVERAGE=true, as it is by this runner. Nothing of this
is kept by hand: a rule that no case reaches shows as a hole.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SETTING = {"PREFECT_KERNEL_EXPLAIN_COVERAGE": "true"}
COLUMNS = ("fired", "not fired", "preceded")


@dataclass(frozen=True)
class Covered:
    """What one rule of one policy did in all cases of a run.

    It *fired* when it decided or changed something; it *did not* when it was asked and did nothing, or the transition
    was none of its concern; it was *preceded* when a rule before it had decided or changed the proposed state.
    """

    policy: str
    rule: str
    fired: int
    not_fired: int
    preceded: int
    first: bool

    @property
    def holes(self) -> list[str]:
        """What no case has shown."""
        counts = zip(COLUMNS, (self.fired, self.not_fired, self.preceded), strict=True)
        return [name for name, count in counts if not count and not (name == "preceded" and self.first)]


def measured(api_url: str) -> list[Covered] | None:
    """What the kernel has counted since its start; None when it does not count."""
    try:
        with urllib.request.urlopen(f"{api_url}/kernel/rules/coverage", timeout=10) as answer:
            return [_covered(entry) for entry in json.load(answer)]
    except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError):
        return None


def _covered(entry: dict[str, Any]) -> Covered:
    not_fired = entry["let_pass"] + entry["not_concerned"] + entry["skipped"]
    return Covered(entry["policy"], entry["rule"], entry["fired"], not_fired, entry["preceded"], entry["first"])


def table(covered: list[Covered]) -> Iterator[str]:
    """One line per rule."""
    width = max((len(one.rule) for one in covered), default=0) + 2
    yield ""
    yield f"{'rule':<{width}}" + "".join(f"{name:>11}" for name in COLUMNS)
    policy = None
    for one in covered:
        if one.policy != policy:
            policy = one.policy
            yield policy
        cells = (one.fired, one.not_fired, "first" if one.first else one.preceded)
        missing = "  never: " + ", ".join(one.holes) if one.holes else ""
        yield f"  {one.rule:<{width - 2}}" + "".join(f"{cell:>11}" for cell in cells) + missing
