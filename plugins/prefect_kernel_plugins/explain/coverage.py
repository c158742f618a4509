"""Which rules were ever of consequence: counted from the decisions, for the conformance runner."""

from __future__ import annotations

from typing import Any

from prefect_kernel.app import Kernel
from prefect_kernel.stash import StashKey
from prefect_kernel.transition import ACCEPT, Move

from .account import SKIPPED, rules
from .decisions import EFFECTS, Decision, Decisions, decision

VERDICTS = ("REJECT", "ABORT", "WAIT")


class Coverage:
    """Counts for each rule of each policy: how often it fired, let pass, was not concerned, and came after another."""

    def __init__(self, kernel: Kernel, decisions: Decisions) -> None:
        self._kernel, self._decisions = kernel, decisions
        self._counts: dict[tuple[str, str], dict[str, int]] = {}

    def note(self, move: Move) -> None:
        """Count a decision, and remember it."""
        move.context.setdefault(EFFECTS, [])
        self._decisions.note(move)
        self._count(decision(move))

    def _count(self, made: Decision) -> None:
        told = {(rule["policy"], rule["rule"]): rule for rule in rules(self._kernel, made)}
        decided = False
        for name in made.policies:
            for rule in self._kernel.policies[name].rules:
                key = name, rule.rule_name()
                counts = self._of(key)
                # A rule that stands after the one which decided, concerned or not, has come after it.
                counts["preceded"] += decided
                found = told.get(key)
                if found is None:
                    counts["not_concerned"] += 1
                elif found["decision"] == SKIPPED:
                    counts["skipped"] += 1
                elif found["changes"] or found["decision"] in VERDICTS or found["decision"] == ACCEPT:
                    counts["fired"] += 1
                    decided = decided or found["decision"] in VERDICTS or _changed_state(found["changes"])
                else:
                    counts["let_pass"] += 1

    def _of(self, key: tuple[str, str]) -> dict[str, int]:
        return self._counts.setdefault(
            key, dict.fromkeys(("fired", "let_pass", "not_concerned", "skipped", "preceded"), 0)
        )

    def report(self) -> list[dict[str, Any]]:
        """One entry for each rule of each policy, in order; all zeros for a rule whose policy was never asked."""
        return [
            {"policy": name, "rule": rule.rule_name(), "first": place == 0, **self._of((name, rule.rule_name()))}
            for name, policy in self._kernel.policies.items()
            for place, rule in enumerate(policy.rules)
        ]


def _changed_state(changes: list[str] | None) -> bool:
    """Whether a rule has changed what is proposed, so that those after it judge something else."""
    return any(place.startswith("state") for place in changes or ())


COVERAGE = StashKey[Coverage]("which rules were of consequence")
