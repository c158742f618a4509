"""Policies: ordered lists of rules, and the edits by which plugins change them. No I/O here."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .errors import PolicyError
from .transition import Rule


@dataclass(frozen=True)
class Policy:
    """A named, ordered list of rule classes; `kind` is `flow_run` or `task_run`."""

    name: str
    kind: str
    rules: Sequence[type[Rule]]


@dataclass(frozen=True)
class Insert:
    """Put a rule between others. `after` fixes the place and `before` is then checked; alone, `before` fixes it."""

    rule: type[Rule]
    policy: str
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True)
class Replace:
    """Put another rule in the place of the one named `name`."""

    name: str
    rule: type[Rule]
    policy: str


@dataclass(frozen=True)
class Remove:
    """Take the rule named `name` out of a policy."""

    name: str
    policy: str


Edit = Insert | Replace | Remove


@dataclass(eq=False)
class ResolvedPolicy:
    """A policy with every edit applied; frozen at boot."""

    name: str
    kind: str
    rules: tuple[type[Rule], ...]
    origin: dict[str, str]
    """Rule name -> the plugin that put it there."""
    _matching: dict[tuple[str | None, str | None], tuple[type[Rule], ...]] = field(default_factory=dict)

    def matching(self, initial: str | None, proposed: str | None) -> tuple[type[Rule], ...]:
        """The rules that concern a transition, in order (remembered: there are at most 100 pairs)."""
        key = (initial, proposed)
        found = self._matching.get(key)
        if found is None:
            found = tuple(r for r in self.rules if r.concerns(initial, proposed))
            self._matching[key] = found
        return found


def resolve(policy: Policy, plugin: str, edits: Iterable[tuple[str, Edit]]) -> ResolvedPolicy:
    """Apply edits (with the plugin each comes from) to a policy: replaces, then inserts, then removes.

    An insert's anchor may be brought by another insert. Raises PolicyError for anchors that do not exist, impossible
    places, and names that are taken.
    """
    rules = list(policy.rules)
    origin = {rule.rule_name(): plugin for rule in rules}
    mine = [(who, edit) for who, edit in edits if edit.policy == policy.name]

    def index(name: str, who: str) -> int:
        for i, rule in enumerate(rules):
            if rule.rule_name() == name:
                return i
        close = difflib.get_close_matches(name, [r.rule_name() for r in rules], 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise PolicyError(f"plugin {who}: no rule {name!r} in {policy.name}{hint}")

    for who, edit in mine:
        if isinstance(edit, Replace):
            at = index(edit.name, who)
            origin.pop(edit.name)
            rules[at] = edit.rule
            origin[edit.rule.rule_name()] = who

    waiting = [(who, edit) for who, edit in mine if isinstance(edit, Insert)]
    last_after: dict[str, str] = {}  # two inserts after one anchor keep the order of their plugins
    while waiting:
        held = []
        for who, insert in waiting:
            anchor = insert.after or insert.before
            if anchor is None:
                raise PolicyError(f"plugin {who}: {insert.rule.rule_name()} says neither after nor before which rule")
            names = [r.rule_name() for r in rules]
            if anchor not in names or (insert.before and insert.before not in names):
                held.append((who, insert))
                continue
            if insert.rule.rule_name() in names:
                raise PolicyError(f"plugin {who}: {policy.name} has a rule {insert.rule.rule_name()!r} already")
            if insert.after:
                at = names.index(last_after.get(insert.after, insert.after)) + 1
                last_after[insert.after] = insert.rule.rule_name()
                if insert.before and names.index(insert.before) < at:
                    raise PolicyError(
                        f"plugin {who}: {insert.rule.rule_name()} cannot stand after {insert.after!r}"
                        f" and before {insert.before!r} in {policy.name}"
                    )
            else:
                at = names.index(anchor)
            rules.insert(at, insert.rule)
            origin[insert.rule.rule_name()] = who
        if len(held) == len(waiting):
            who, insert = held[0]
            for anchor in (insert.after, insert.before):
                if anchor is not None:
                    index(anchor, who)
        waiting = held

    for who, edit in mine:
        if isinstance(edit, Remove):
            at = index(edit.name, who)
            origin.pop(edit.name)
            del rules[at]
    return ResolvedPolicy(policy.name, policy.kind, tuple(rules), origin)
