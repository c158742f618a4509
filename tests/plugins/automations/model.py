"""What automations should do, as simply as it can be said: one event after the other, everything in dictionaries.

No database, no batches, no services, and no code of the kernel's.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

Event = dict[str, Any]
Firings = dict[tuple[int, int], Counter[tuple[str | None, tuple[tuple[str, str], ...]]]]
"""By the time and the automation's number: how often it fired on which event, for which labels."""

LOOKBACK = 15 * 60
EVERY = 5
"""How many seconds lie between two looks at the time, at least."""

KEPT = 60
"""For how many seconds windows that are over are kept."""


@dataclass
class Window:
    """What has been counted between two times."""

    start: float
    end: float
    count: int = 0
    last: Event | None = None


@dataclass(eq=False)
class Node:
    """A trigger, in its place."""

    spec: dict[str, Any]
    number: int
    parent: Node | None
    children: list[Node]

    @property
    def proactive(self) -> bool:
        return bool(self.spec["posture"] == "Proactive")

    @property
    def required(self) -> int:
        require = self.spec.get("require", "all")
        return {"any": 1, "all": len(self.children)}.get(require, require)


def fits(pattern: str, value: str | None) -> bool:
    """A glob; after `!`, that it is not."""
    if value is None:
        return False
    return not fnmatchcase(value, pattern[1:]) if pattern.startswith("!") else fnmatchcase(value, pattern)


def has(resource: dict[str, str], wanted: dict[str, Any]) -> bool:
    """Whether a resource has all the labels."""
    return all(
        any(fits(one, resource.get(label)) for one in ([patterns] if isinstance(patterns, str) else patterns))
        for label, patterns in wanted.items()
    )


def covers(spec: dict[str, Any], event: Event) -> bool:
    """Whether the event may matter to an event trigger."""
    names = {*spec["expect"], *spec["after"]} if spec["expect"] else set()
    if names:
        if not any(fnmatchcase(event["event"], name) for name in names):
            return False
        if not any(re.match(re.escape(name).replace(r"\*", ".+"), event["event"]) for name in names):
            return False
    wanted = spec.get("match", {})
    if wanted and not has(event["resource"], wanted):
        return False
    related = spec.get("match_related", {})
    for one in related if isinstance(related, list) else [related]:
        if one and not any(has(resource, one) for resource in event["related"]):
            return False
    return True


def label(name: str, event: Event) -> str:
    """The value of a `for_each` label."""
    if name.startswith("related:"):
        _, role, inner = name.split(":")
        for resource in event["related"]:
            if resource["prefect.resource.role"] == role:
                return str(resource.get(inner) or "")
    return str(event["resource"].get(name) or "")


class Model:
    """Automations, and what they have seen."""

    def __init__(self, automations: list[dict[str, Any]]) -> None:
        self.now = 0
        self.firings: Firings = {}
        self.leaves: list[Node] = []
        for number, spec in enumerate(automations):
            self._plant(spec, number, None)
        self.windows: dict[tuple[Node, tuple[str, ...]], Window] = {}
        self.heard: dict[Node, dict[Node, tuple[int, int]]] = {}
        """Of a composite trigger: when its parts last fired, and as which of all firings."""
        self.order = 0
        self.seen: set[str] = set()
        self.came: set[str] = set()
        self.waiting: list[tuple[int, Event]] = []
        self.due: dict[Node, float] = {}
        self.looked: int | None = None

    def _plant(self, spec: dict[str, Any], number: int, parent: Node | None) -> Node:
        node = Node(spec, number, parent, [])
        if spec["type"] == "event":
            self.leaves.append(node)
        else:
            node.children = [self._plant(part, number, node) for part in spec["triggers"]]
        return node

    def step(self, now: int, events: list[Event]) -> None:
        """The clock says `now`, and events come."""
        self.now = now
        for event in events:
            self._come(event)
        if self.looked is None or now - self.looked >= EVERY:
            self.looked = now
            self._pass_time()

    # ------------------------------------------------------------ in which order
    def _come(self, event: Event) -> None:
        if event["id"] in self.came:
            return
        self.came.add(event["id"])
        leader = event.get("follows")
        if leader and leader != event["id"] and leader not in self.seen:
            self.waiting.append((self.now, event))
        else:
            self._see(event)

    def _see(self, event: Event) -> None:
        self.seen.add(event["id"])
        for leaf in self.leaves:
            if covers(leaf.spec, event):
                self._count(leaf, event)
        followers = [one for one in self.waiting if one[1].get("follows") == event["id"]]
        for one in sorted(followers, key=lambda one: (one[1]["occurred"], one[1]["id"])):
            self.waiting.remove(one)
            self._see(one[1])

    def _pass_time(self) -> None:
        lost = [one for one in self.waiting if one[0] < self.now - LOOKBACK]
        self.waiting = [one for one in self.waiting if one not in lost]
        for _, event in sorted(lost, key=lambda one: (one[1]["occurred"], one[1]["id"])):
            self._see(event)
        for leaf in self.leaves:
            if leaf.proactive and self.due.get(leaf, self.now) <= self.now:
                self._look(leaf)
        for at in [at for at, one in self.windows.items() if not at[0].proactive and one.end <= self.now - KEPT]:
            del self.windows[at]

    # ------------------------------------------------------------ counting
    def _count(self, leaf: Node, event: Event) -> None:
        spec, occurred = leaf.spec, event["occurred"]
        at = (leaf, tuple(label(name, event) for name in sorted(spec["for_each"])))
        expected = not spec["expect"] or any(fits(name, event["event"]) for name in spec["expect"])
        if spec["after"]:
            if any(fits(name, event["event"]) for name in spec["after"]):
                first = Window(occurred, occurred + spec["within"], -1 if expected else 0)
                self.windows.setdefault(at, first).last = event
        elif expected:
            self.windows.setdefault(at, Window(occurred - LOOKBACK, occurred + spec["within"])).last = event
        if expected and at in self.windows:
            self._decide(at, occurred, event)

    def _look(self, leaf: Node) -> None:
        again = self.now + leaf.spec["within"]
        if not leaf.spec["for_each"]:
            self.windows.setdefault((leaf, ()), Window(self.now, again))
        for at in sorted((at for at in self.windows if at[0] is leaf), key=lambda at: self.windows[at].start):
            if self.windows[at].count >= leaf.spec["threshold"]:
                del self.windows[at]
                continue
            self._decide(at, self.now, None)
            if at in self.windows and self.now < self.windows[at].end:
                again = min(again, self.windows[at].end)
        self.due[leaf] = again

    def _decide(self, at: tuple[Node, tuple[str, ...]], moment: float, event: Event | None) -> None:
        leaf, window = at[0], self.windows[at]
        spec, within = leaf.spec, leaf.spec["within"]
        if moment < window.start:
            return
        counted = event is not None and (moment < window.end or (within == 0 and not leaf.proactive))
        if counted:
            window.count, window.last = window.count + 1, event
        enough = window.count >= spec["threshold"]
        if (enough and not leaf.proactive) or (not enough and leaf.proactive and window.end <= moment):
            del self.windows[at]
            self._fire(leaf, event or window.last, tuple(zip(sorted(spec["for_each"]), at[1], strict=True)))
        elif moment < window.end:
            both = (
                [any(fits(name, event["event"]) for name in spec[kind]) for kind in ("after", "expect")]
                if event
                else []
            )
            if event and leaf.proactive and enough and both[0] and (both[1] or not spec["expect"]):
                self.windows[at] = Window(event["occurred"], event["occurred"] + within, 0, event)
            return
        if spec["after"]:
            self.windows.pop(at, None)
        elif within:
            begin = max(window.end, moment)
            self.windows[at] = Window(begin, begin + within)
            if event is not None and not counted:
                if leaf.proactive:
                    self.windows[at].count = 1
                else:
                    self._decide(at, moment, event)

    # ------------------------------------------------------------ firing
    def _fire(self, node: Node, event: Event | None, labels: tuple[tuple[str, str], ...] = ()) -> None:
        parent = node.parent
        if parent is None:
            found = self.firings.setdefault((self.now, node.number), Counter())
            found[(event["id"] if event else None, labels)] += 1
            return
        if parent.required == 1:
            self._fire(parent, event)
            return
        self.order += 1
        heard, within = self.heard.setdefault(parent, {}), parent.spec["within"]
        if within is not None:
            for part in [part for part, (when, _) in heard.items() if not within or when < self.now - within]:
                del heard[part]
        heard[node] = (self.now, self.order)
        in_order = sorted(heard, key=lambda part: heard[part][1])
        if len(heard) >= parent.required if parent.spec["type"] == "compound" else in_order == parent.children:
            heard.clear()
            self._fire(parent, event)
