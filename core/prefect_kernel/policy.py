"""Policies: ordered lists of rules, and the edits by which plugins change them. No I/O here."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .errors import PolicyError
from .transition import ALL_STATES, HOOKS, Rule


@dataclass(frozen=True)
class Policy:
    """A named, ordered list of rule classes; `kind` is `flow_run` or `task_run`."""

    name: str
    kind: str
    rules: Sequence[type[Rule]]
    composed: bool = False
    """True when the policy also judges as part of a transaction that makes other changes, such as the creation of a
    run; `async` rules cannot wait there, and are refused."""


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


@dataclass(frozen=True, slots=True)
class Step:
    """A rule in its place in a policy, with what the engine wants to know of it at once."""

    rule: type[Rule]
    name: str
    foreign: str | None
    """The third party's plugin that it is from."""
    transform: bool
    asks: bool
    """Whether it has a `before`."""
    leaves: bool
    """Whether it has an `after` or a `cleanup`."""


@dataclass(eq=False)
class ResolvedPolicy:
    """A policy with every edit applied; frozen at boot."""

    name: str
    kind: str
    rules: tuple[type[Rule], ...]
    origin: dict[str, str]
    """Rule name -> the plugin that put it there."""
    foreign: Mapping[type[Rule], str] = field(default_factory=dict)
    """The rules of third parties -> their plugin; their hooks are run with care."""
    removed: dict[str, str] = field(default_factory=dict)
    """Name of a rule that a plugin removed or replaced -> that plugin."""
    detached: bool = False
    """True when there are rules that may wait for something, so that the decision is made before the transaction."""
    _steps: dict[tuple[str | None, str | None], tuple[Step, ...]] = field(default_factory=dict)

    @property
    def has_async(self) -> bool:
        """Whether a rule has an async hook."""
        return any(rule.is_async() for rule in self.rules)

    def matching(self, initial: str | None, proposed: str | None) -> tuple[type[Rule], ...]:
        """The rules that concern a transition, in order."""
        return tuple(step.rule for step in self.steps(initial, proposed))

    def steps(self, initial: str | None, proposed: str | None) -> tuple[Step, ...]:
        """As `matching`, for the engine (remembered: there are at most 100 pairs)."""
        key = (initial, proposed)
        found = self._steps.get(key)
        if found is None:
            found = tuple(self._step(rule) for rule in self.rules if rule.concerns(initial, proposed))
            self._steps[key] = found
        return found

    def _step(self, rule: type[Rule]) -> Step:
        return Step(
            rule,
            rule.rule_name(),
            self.foreign.get(rule),
            rule.transform,
            asks=rule.before is not Rule.before,
            leaves=rule.after is not Rule.after or rule.cleanup is not Rule.cleanup,
        )


def resolve(
    policy: Policy, plugin: str, edits: Iterable[tuple[str, Edit]], trusted: Collection[str] | None = None
) -> ResolvedPolicy:
    """Apply edits (with the plugin each comes from) to a policy: replaces, then inserts, then removes.

    An insert's anchor may be brought by another insert. Rules of plugins that are not among the `trusted` (None: all
    are) count as foreign. Raises PolicyError for anchors that do not exist, impossible places, names that are taken,
    and things that are not rules.
    """
    resolving = _Resolving(policy, plugin)
    mine = [(who, edit) for who, edit in edits if edit.policy == policy.name]
    for who, edit in mine:
        if isinstance(edit, Replace):
            resolving.replace(who, edit)
    resolving.insert([(who, edit) for who, edit in mine if isinstance(edit, Insert)])
    for who, edit in mine:
        if isinstance(edit, Remove):
            resolving.remove(who, edit)
    origin = resolving.origin
    foreign = {
        rule: origin[rule.rule_name()]
        for rule in resolving.rules
        if trusted is not None and origin[rule.rule_name()] not in trusted
    }
    return ResolvedPolicy(
        policy.name,
        policy.kind,
        tuple(resolving.rules),
        origin,
        foreign,
        resolving.removed,
        detached=any(not rule.inline for rule in foreign),
    )


class _Resolving:
    """A policy while its edits are applied."""

    def __init__(self, policy: Policy, plugin: str) -> None:
        self.policy, self.rules = policy, list(policy.rules)
        for position, rule in enumerate(self.rules):
            check_rule(rule, policy, plugin)
            if rule.rule_name() in {other.rule_name() for other in self.rules[:position]}:
                raise PolicyError(f"plugin {plugin}: {policy.name} has {rule.rule_name()!r} twice", plugin)
        self.origin = {rule.rule_name(): plugin for rule in self.rules}
        self.removed: dict[str, str] = {}

    def names(self) -> list[str]:
        return [rule.rule_name() for rule in self.rules]

    def index(self, name: str, who: str) -> int:
        """Where the rule of that name stands."""
        names = self.names()
        if name in names:
            return names.index(name)
        if name in self.removed:
            hint = f": plugin {self.removed[name]} has taken it out"
        else:
            close = difflib.get_close_matches(str(name), names, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
        raise PolicyError(f"plugin {who}: no rule {name!r} in {self.policy.name}{hint}", who)

    def add(self, who: str, rule: type[Rule]) -> None:
        """Check a rule, and that its name is free, and note who brings it."""
        check_rule(rule, self.policy, who)
        name = rule.rule_name()
        if name in self.origin:
            raise PolicyError(f"plugin {who}: {self.policy.name} has a rule {name!r} already", who)
        self.origin[name] = who

    def replace(self, who: str, edit: Replace) -> None:
        at = self.index(edit.name, who)
        del self.origin[edit.name]
        self.add(who, edit.rule)
        self.rules[at] = edit.rule
        if edit.rule.rule_name() != edit.name:
            self.removed[edit.name] = who

    def remove(self, who: str, edit: Remove) -> None:
        del self.rules[self.index(edit.name, who)]
        del self.origin[edit.name]
        self.removed[edit.name] = who

    def insert(self, waiting: list[tuple[str, Insert]]) -> None:
        """Place all inserts; one whose anchor is not there yet waits until the others were placed."""
        last_after: dict[str, str] = {}  # two inserts after one anchor keep the order of their plugins
        while waiting:
            held = [(who, edit) for who, edit in waiting if not self._place(who, edit, last_after)]
            if len(held) == len(waiting):
                self._give_up(held)
            waiting = held

    def _place(self, who: str, edit: Insert, last_after: dict[str, str]) -> bool:
        """Place an insert; False when it must wait for another one."""
        anchor = edit.after or edit.before
        if anchor is None:
            raise PolicyError(f"plugin {who}: an insert into {self.policy.name} says neither after nor before", who)
        names = self.names()
        if anchor not in names or (edit.before and edit.before not in names):
            return False
        self.add(who, edit.rule)
        name = edit.rule.rule_name()
        if edit.after:
            behind = edit.after
            while behind in last_after:
                behind = last_after[behind]
            at = names.index(behind) + 1
            if edit.before and names.index(edit.before) < at:
                raise PolicyError(
                    f"plugin {who}: {name} cannot stand after {edit.after!r} and before {edit.before!r}"
                    f" in {self.policy.name}",
                    who,
                )
            last_after[edit.after] = name
        else:
            at = names.index(anchor)
        self.rules.insert(at, edit.rule)
        return True

    def _give_up(self, held: list[tuple[str, Insert]]) -> None:
        """Say why inserts cannot be placed: an anchor that nobody brings, or anchors that wait for each other."""
        coming = {edit.rule.rule_name() for _, edit in held if _is_rule(edit.rule)}
        for who, edit in held:
            for anchor in (edit.after, edit.before):
                if anchor is not None and anchor not in coming:
                    self.index(anchor, who)
        who, edit = held[0]
        names = " and ".join(sorted(coming))
        raise PolicyError(f"plugin {who}: {names} wait for each other in {self.policy.name}", who)


def _is_rule(rule: object) -> bool:
    return isinstance(rule, type) and issubclass(rule, Rule)


_MEANT = (*HOOKS, "from_states", "to_states", "inline")


def _check_spelling(rule: type[Rule], plugin: str) -> None:
    """A rule with `befor`, or for `from_state`, would not judge what it was meant to, and nobody would notice."""
    theirs = [cls for cls in rule.__mro__ if cls.__module__ not in (Rule.__module__, "builtins")]
    own = {name for cls in theirs for name in vars(cls)}
    for name in sorted(own - set(dir(Rule))):
        close = difflib.get_close_matches(name, _MEANT, 1, 0.8)
        if close and close[0] not in own:
            said = f"rule {rule.rule_name()} has {name!r}, which rules do not have; did you mean {close[0]!r}?"
            raise PolicyError(f"plugin {plugin}: {said}", plugin)


def check_rule(rule: type[Rule], policy: Policy, plugin: str) -> None:
    """Raise PolicyError unless this is a rule that can take part in the policy."""
    if not _is_rule(rule):
        raise PolicyError(f"plugin {plugin}: {rule!r} is not a rule class", plugin)
    name = rule.rule_name()
    if not isinstance(name, str):
        raise PolicyError(f"plugin {plugin}: a rule's name is {name!r}, and not text", plugin)
    if rule.kind not in ("run", policy.kind):  # "run": for flow runs and task runs alike
        raise PolicyError(
            f"plugin {plugin}: rule {name} is for {rule.kind}, and {policy.name} for {policy.kind}", plugin
        )
    for attribute in ("from_states", "to_states"):
        states = getattr(rule, attribute)
        if not isinstance(states, frozenset | set):
            raise PolicyError(f"plugin {plugin}: {attribute} of rule {name} is {states!r}, and not a set", plugin)
        if unknown := states - ALL_STATES:
            raise PolicyError(
                f"plugin {plugin}: {attribute} of rule {name} has {', '.join(map(repr, sorted(map(str, unknown))))},"
                " which is no type of state",
                plugin,
            )
    for hook in HOOKS:
        if not callable(getattr(rule, hook)):
            raise PolicyError(f"plugin {plugin}: {hook} of rule {name} cannot be called", plugin)
    _check_spelling(rule, plugin)
    if rule.inline and rule.is_async():
        raise PolicyError(f"plugin {plugin}: rule {name} is async, and can thus not be inline", plugin)
    if policy.composed and rule.is_async():
        raise PolicyError(
            f"plugin {plugin}: rule {name} is async, and {policy.name} also judges inside of transactions, where a rule"
            " cannot wait; make its hooks plain functions or generators",
            plugin,
        )
