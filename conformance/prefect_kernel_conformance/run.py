"""Chooses the cases, plays them, counts, and shortens what differs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from random import Random
from typing import Any

from click.termui import progressbar

from . import generators, sequences
from .coverage import Covered
from .judge import Finding, Judge, Verdict
from .lanes import Played, play, play_together
from .routes import Routes
from .script import GENERATORS, SEQUENCES, Case, Declared
from .shrink import shrink

# The order in which groups are played and shown; groups not named come after.
GROUP_ORDER = (
    "root", "flows", "flow_runs", "flow_policies", "task_runs", "task_policies", "states", "logs", "events",
    "task_workers",
)  # fmt: skip

SHORTENING_SECONDS = 120.0


@dataclass
class Choice:
    """What to play."""

    groups: Sequence[str] = ()
    match: str = ""
    seed: int = 0
    cases: int = 100
    sequences: bool = True
    share: float = 1.0
    """Which part of the hand-written sequences is played, drawn by the seed."""

    def takes(self, declared: Declared) -> bool:
        """Whether it is to be played."""
        return (not self.groups or declared.group in self.groups) and self.match in declared.name


@dataclass
class GroupResult:
    """What came of one group."""

    group: str
    sequences: int = 0
    generated: int = 0
    requests: int = 0
    different: int = 0
    explained: int = 0
    skipped: int = 0
    seconds: float = 0.0


@dataclass
class Results:
    """What came of the run."""

    groups: dict[str, GroupResult] = field(default_factory=dict)
    kinds: dict[tuple[str, str, str], list[Finding]] = field(default_factory=dict)
    explained: dict[str, int] = field(default_factory=dict)
    examples: dict[str, Finding] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unsteady: list[str] = field(default_factory=list)
    """Cases that differed beside others, or once, and did not when they were played again alone."""
    coverage: list[Covered] = field(default_factory=list)
    """What the rules of the kernel did; empty when it did not count."""

    routes: Routes | None = None
    """Which routes the servers have; None where they do not say."""

    def note_unsteady(self, case: Case) -> None:
        """Note that a case has differed, and then has not."""
        if (name := f"{case.group}.{case.name}") not in self.unsteady:
            self.unsteady.append(name)

    def add_routes(self, routes: Routes | None) -> None:
        """Add what was found about routes; one that only one server has is a difference."""
        self.routes = routes
        for finding in routes.findings() if routes else ():
            self.kinds.setdefault(finding.signature, []).append(finding)

    @property
    def different(self) -> bool:
        """Whether there are differences that nothing explains."""
        return bool(self.kinds)


def _position(group: str) -> tuple[int, str]:
    return (GROUP_ORDER.index(group) if group in GROUP_ORDER else len(GROUP_ORDER)), group


def declared_groups() -> list[str]:
    """The names of all groups."""
    sequences.load()
    generators.load()
    return sorted({declared.group for declared in (*SEQUENCES, *GENERATORS)}, key=_position)


def choose(choice: Choice) -> list[Case]:
    """The cases to play, in order: first what must find the databases as they were seeded."""
    groups = declared_groups()
    written = [declared for declared in SEQUENCES if choice.takes(declared)] if choice.sequences else []
    if choice.share < 1:
        written = [one for one in written if Random(f"{choice.seed} {one.group} {one.name}").random() < choice.share]
    drawn = [case for group in groups for case in _draw(group, choice)]
    pristine = [case for case in drawn if case.pristine]
    rest = [declared.case() for declared in written] + [case for case in drawn if not case.pristine]
    return pristine + sorted(rest, key=lambda case: _position(case.group))


def _draw(group: str, choice: Choice) -> Iterator[Case]:
    """The generated cases of a group; which they are depends on the seed and their number alone."""
    chosen = [declared for declared in GENERATORS if declared.group == group and choice.takes(declared)]
    weight = sum(declared.weight for declared in chosen)
    for declared in chosen:
        for number in range(round(choice.cases * declared.weight / weight)):
            yield declared.case(Random(f"{choice.seed} {group} {declared.name} {number}"), number)


def play_all(judges: Sequence[Judge], cases: Sequence[Case], *, show_progress: bool, shorten: int) -> Results:
    """Play the cases, several at a time where there are several judges.

    `shorten`: for how many kinds of differences to look for the shortest script.
    """
    results = Results(groups={case.group: GroupResult(case.group) for case in cases})
    try:
        with progressbar(
            _played(judges, cases, results),
            length=len(cases),
            label="Playing",
            file=sys.stderr,
            hidden=not show_progress,
            item_show_func=lambda played: f"{played.case.group}.{played.case.name}" if played else "",
        ) as bar:
            for played in bar:
                _count_played(played, results)
        _shorten(judges[0], results, shorten, show_progress=show_progress)
    except KeyboardInterrupt:
        results.notes.append("Interrupted: not everything was played.")
    return results


def _played(judges: Sequence[Judge], cases: Sequence[Case], results: Results) -> Iterator[Played]:
    """Each case, played: those that must be alone one by one, the others beside each other."""
    # Python Prefect on SQLite holds the lock of its database for long: who writes beside others only waits.
    one_writes = judges[0].reference.locks
    for alone, some in groupby(
        cases, key=lambda case: case.alone or len(judges) == 1 or (one_writes and not case.pristine)
    ):
        if alone:
            yield from (_played_alone(judges[0], case, results) for case in some)
            continue
        again = []
        for played in play_together(judges, list(some)):
            if played.differs:
                again.append(played.case)
            else:
                yield played
        for case in again:
            played = _played_alone(judges[0], case, results)
            if not played.differs:
                results.note_unsteady(case)
            yield played


def _played_alone(judge: Judge, case: Case, results: Results) -> Played:
    """The case, played; again where it differs and it may be that something only took longer than it waits."""
    played = play(judge, case)
    if played.differs and case.timed:
        played = play(judge, case)
        if not played.differs:
            results.note_unsteady(case)
    return played


def _shorten(judge: Judge, results: Results, shorten: int, *, show_progress: bool) -> None:
    shown = list(results.kinds)[:shorten]
    give_up = time.monotonic() + SHORTENING_SECONDS
    with progressbar(shown, label="Shortening", file=sys.stderr, hidden=not (show_progress and shown)) as bar:
        for signature in bar:
            if time.monotonic() < give_up:
                first = results.kinds[signature][0]
                results.kinds[signature][0] = shrink(first, lambda case: judge.judge(case).findings)


def _count_played(played: Played, results: Results) -> None:
    result = results.groups[played.case.group]
    result.seconds += played.seconds
    result.requests += played.requests
    if reason := played.verdict.skipped:
        result.skipped += 1
        results.skipped[reason] = results.skipped.get(reason, 0) + 1
        return
    if "[" in played.case.name:
        result.generated += 1
    else:
        result.sequences += 1
    count(played.verdict, result, results)


def count(verdict: Verdict, result: GroupResult, results: Results) -> None:
    """Add one verdict to the results."""
    unexplained = [finding for finding in verdict.findings if finding.deviation is None]
    result.different += bool(unexplained)
    result.explained += bool(verdict.findings) and not unexplained
    for finding in verdict.findings:
        if finding.deviation is None:
            results.kinds.setdefault(finding.signature, []).append(finding)
        else:
            name = finding.deviation.id
            results.explained[name] = results.explained.get(name, 0) + 1
            results.examples.setdefault(name, finding)


def as_json(results: Results) -> dict[str, Any]:
    """The results for machines."""
    return {
        "groups": [vars(result) for result in results.groups.values()],
        "differences": [
            {
                "group": signature[0],
                "request": signature[1],
                "place": signature[2],
                "cases": len(findings),
                "case": findings[0].case.name,
                "sent": findings[0].sent,
                "differences": [vars(difference) for difference in findings[0].differences],
                "reference": findings[0].reference,
                "kernel": findings[0].kernel,
            }
            for signature, findings in results.kinds.items()
        ],
        "deviations": results.explained,
        "skipped": results.skipped,
        "coverage": [vars(covered) for covered in results.coverage],
        "unsteady": results.unsteady,
        "routes": vars(results.routes) if results.routes else None,
        "notes": results.notes,
    }
