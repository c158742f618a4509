"""Running a policy on one proposed state.

The engine has the reference's semantics: rules are chosen by the intended pair of state types, nest in order, are
skipped once the proposal has changed its type (invalid), and on the way out run `after`, or `cleanup` when the
transition is no longer theirs (fizzled).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from .transition import Move, Rule, fail

if TYPE_CHECKING:
    from .foreign import Guard
    from .policy import ResolvedPolicy


def decide(move: Move, *policies: ResolvedPolicy, detached: bool = False) -> Generator[Any, Any, None]:
    """Run policies (the chosen one, then the global one) on a move.

    Yields read calls, and when `detached` also hooks of third parties, for `propose` to run. A rule that raises aborts
    the transition (fails closed).
    """
    initial, proposed = move.intended = move.initial_type, move.proposed_type
    move.policies = tuple([policy.name for policy in policies])
    guard = _guard(move, policies, detached)
    entered: list[Rule] = []
    trail = move.trail
    for policy in policies:
        for step in policy.steps(initial, proposed):
            cls = step.rule
            if guard is not None and step.foreign is not None:
                entered.append((yield from guard.before(cls, step.foreign, initial, proposed)))
                continue
            rule = cls(initial, proposed)
            if step.leaves:
                entered.append(rule)
            if not step.transform and rule.invalid(move):
                trail.append((step.name, "skipped", None))
                continue
            if step.asks:
                move.asked = rule
                try:
                    result = rule.before(move)
                    if result is not None:
                        yield from result
                except Exception as error:  # noqa: BLE001 - whatever it is, the transition is aborted
                    fail(move, rule, policy.origin.get(step.name, "?"), error)
                move.asked = None
            if not step.transform or rule.outcome is not None:
                trail.append((step.name, rule.outcome or "passed", rule.reason))

    move.validated = move.proposed

    yield from _leave(move, entered, guard)
    if guard is not None:
        guard.settle()


def _guard(move: Move, policies: tuple[ResolvedPolicy, ...], detached: bool) -> Guard | None:
    """What looks after rules of third parties, when some take part."""
    for policy in policies:
        foreign = policy.foreign
        if foreign and not foreign.keys().isdisjoint(policy.matching(move.initial_type, move.proposed_type)):
            from .foreign import Guard  # few servers have such rules

            return Guard(move, detached)
    return None


def _leave(move: Move, entered: list[Rule], guard: Guard | None) -> Generator[Any, Any, None]:
    for rule in reversed(entered):
        if rule.transform:
            if move.error is not None:
                continue
            fizzled = False
        elif rule.invalid(move):
            continue
        else:
            fizzled = rule.mismatch(move)
        if guard is not None and rule.plugin is not None:
            yield from guard.leave(rule, "cleanup" if fizzled else "after")
        else:
            result = rule.cleanup(move) if fizzled else rule.after(move)
            if result is not None:
                yield from result
