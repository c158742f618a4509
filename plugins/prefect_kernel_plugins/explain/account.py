"""A decision, told: the verdict, and every rule in its order with what it decided and changed."""

from __future__ import annotations

from typing import Any

from prefect_kernel.app import Kernel

from .decisions import Decision

LET_PASS, SKIPPED, CHANGED, TOOK_PART = "let pass", "skipped", "changed", "took part"


def account(kernel: Kernel, decision: Decision) -> dict[str, Any]:
    """The decision as JSON."""
    return {
        "run_id": decision.run_id,
        "kind": decision.kind,
        "at": decision.at,
        "from": decision.intended[0],
        "to": decision.intended[1],
        "verdict": decision.status,
        "reason": decision.details.get("reason"),
        "delay_seconds": decision.details.get("delay_seconds"),
        "state": None if decision.given is None else dict(zip(("type", "name"), decision.given, strict=True)),
        "rules": rules(kernel, decision),
    }


def rules(kernel: Kernel, decision: Decision) -> list[dict[str, Any]]:
    """The rules that were chosen for the transition, in order.

    `decision` is a verdict (`REJECT`, `ABORT`, `WAIT`), `changed`, `let pass`, or `skipped`, since another rule had
    changed the transition before. Real decisions are not watched: there a rule without a verdict just `took part`, and
    `changes` is null.
    """
    said = {name: (outcome, reason) for name, outcome, reason in decision.trail}
    changed: dict[str, list[str]] = {}
    for rule, _, places in decision.effects or ():
        changed.setdefault(rule, []).extend(place for place in places if place not in changed.get(rule, ()))
    told = []
    for policy_name in decision.policies:
        policy = kernel.policies.get(policy_name)
        for step in policy.steps(*decision.intended) if policy is not None else ():
            outcome, reason = said.get(step.name, (None, None))
            changes = changed.get(step.name, [])
            if outcome in (None, "passed"):
                outcome = TOOK_PART if decision.effects is None else CHANGED if changes else LET_PASS
            told.append(
                {
                    "rule": step.name,
                    "policy": policy_name,
                    "plugin": policy.origin[step.name] if policy is not None else None,
                    "decision": outcome,
                    "reason": reason,
                    "changes": changes if decision.effects is not None else None,
                }
            )
    return told
