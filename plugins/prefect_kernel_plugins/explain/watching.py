"""Policies whose rules tell what they change, for dry runs and for measuring which rules are ever of consequence.

Each rule is replaced by a subclass of its own whose hooks look at the move before and after. That costs several
microseconds for each rule, so ordinary transitions run the rules as they are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from typing import Any

from prefect_kernel.policy import ResolvedPolicy
from prefect_kernel.transition import HOOKS, Move, Rule, State

from .decisions import EFFECTS


def watched(policy: ResolvedPolicy) -> ResolvedPolicy:
    """The same policy with rules that leave in the move's context what they have changed."""
    twins = {rule: _twin(rule) for rule in policy.rules}
    return ResolvedPolicy(
        policy.name,
        policy.kind,
        tuple(twins.values()),
        policy.origin,
        {twins[rule]: plugin for rule, plugin in policy.foreign.items()},
        policy.removed,
        policy.detached,
    )


def _twin(rule: type[Rule]) -> type[Rule]:
    hooks: dict[str, Any] = {}
    for name in HOOKS:
        hook = getattr(rule, name)
        # An async hook runs elsewhere and is left alone; what it decides is in the trail all the same.
        if hook is not getattr(Rule, name) and not inspect.iscoroutinefunction(hook):
            hooks[name] = _watched_hook(rule.rule_name(), name, hook)
    return type(rule.__name__, (rule,), {"__slots__": (), "name": rule.rule_name(), **hooks})


def _watched_hook(rule: str, name: str, hook: Callable[[Any, Move], Any]) -> Callable[[Any, Move], Any]:
    def watch(self: Rule, move: Move) -> Any:
        seen = _look(move)
        result = hook(self, move)
        if result is None:
            _note(rule, name, move, seen)
            return None
        return through(move, seen, result)

    def through(move: Move, seen: dict[str, Any], result: Any) -> Generator[Any, Any, None]:
        yield from result
        _note(rule, name, move, seen)

    return watch


def _note(rule: str, hook: str, move: Move, seen: dict[str, Any]) -> None:
    now = _look(move)
    changes = [place for place, value in now.items() if value != seen.get(place)]
    changes += [place for place in seen if place not in now]
    if changes:
        move.context.setdefault(EFFECTS, []).append((rule, hook, changes))


def _look(move: Move) -> dict[str, Any]:
    """All places of a move that a rule can change."""
    places: dict[str, Any] = {"verdict": move.status, "reason": move.details.get("reason")}
    for name, state in (("state", move.proposed), ("written_state", move.validated)):
        if state is not None and (name == "state" or state is not move.proposed):
            places |= _look_at_state(name, state)
    for column, value in move.run.items():
        places[f"run.{column}"] = dict(value) if isinstance(value, dict) else value
    places["writes"], places["events"] = len(move.writes), len(move.events)
    places["after_commit"] = len(move.on_commit)
    return places


def _look_at_state(name: str, state: State) -> dict[str, Any]:
    places = {
        name: state.id,
        f"{name}.type": state.type,
        f"{name}.name": state.name,
        f"{name}.message": state.message,
        f"{name}.timestamp": state.timestamp,
        f"{name}.data": id(state.data),
    }
    return places | {f"{name}.details.{key}": value for key, value in state.details.items()}
