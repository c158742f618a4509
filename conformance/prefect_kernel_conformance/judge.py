"""Plays a case on both servers and judges what came of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from .deviations import Deviation
from .matcher import TOKEN, TOLERANCE_SECONDS, Difference, Matcher
from .player import Side, play
from .rows import compare_rows
from .script import CLOSE, OPEN, Case, Race, Request, Rows, Scope, Seed, Socket, Step, Unresolved, Update

REPEATS = 4
# Python Prefect writes some rows after it has answered (that a queue was polled, say): rows that differ are read again.
SETTLING_SECONDS = 3.0
SETTLING_PAUSE = 0.2
STEP_KINDS = {Seed: "SEED", Update: "UPDATE", Rows: "ROWS", Socket: "SOCKET"}


@dataclass
class Finding:
    """The differences at one step of one case."""

    case: Case
    step: Step | None
    request: str
    differences: list[Difference]
    reference: Any = None
    kernel: Any = None
    sent: Any = None
    deviation: Deviation | None = None

    @property
    def signature(self) -> tuple[str, str, str]:
        """Findings with the same signature are of one kind; one of them is shown."""
        return self.case.group, self.request, self.differences[0].place


@dataclass
class Verdict:
    """What came of one case."""

    case: Case
    findings: list[Finding] = field(default_factory=list)
    skipped: str = ""


def label(step: Step | None) -> str:
    """A step in a few words, without what differs from one playing to the next."""
    match step:
        case Request():
            path = step.path.partition("?")[0]
            while OPEN in path:
                head, _, rest = path.partition(OPEN)
                path = f"{head}*{rest.partition(CLOSE)[2]}"
            return f"{step.method} {TOKEN.sub('*', path)}"
        case Race():
            return f"RACE {label(step.requests[0])}"
        case Socket():
            return f"SOCKET {step.path}"
        case Seed() | Update() | Rows():
            return f"{STEP_KINDS[type(step)]} {step.table}"
        case None:
            return "ROWS afterwards"


class Judge:
    """Holds the two servers. Each playing has names and a start time of its own, the same on both sides."""

    def __init__(
        self,
        reference: Side,
        kernel: Side,
        deviations: list[Deviation],
        *,
        compare_databases: bool = True,
    ) -> None:
        self.reference = reference
        self.kernel = kernel
        dialect = reference.database.dialect if reference.database is not None else None
        self.deviations = [one for one in deviations if one.dialect is None or dialect in (None, one.dialect)]
        self.has_databases = reference.database is not None and kernel.database is not None
        self.compare_databases = compare_databases and self.has_databases
        self._pool = ThreadPoolExecutor(2)
        self._run = secrets.token_hex(2)
        self._played = 0
        self.repeated = 0

    def judge(self, case: Case) -> Verdict:
        """Play the case on both sides and compare.

        A case in which Python Prefect did not get over a lock of its own SQLite database, or met it in a race, is
        played again: that is no behaviour to compare with.
        """
        if case.needs_database and not self.has_databases:
            return Verdict(case, skipped="needs the databases")
        if case.dialect and self.reference.database and case.dialect != self.reference.database.dialect:
            return Verdict(case, skipped=f"Python Prefect can play it on {case.dialect} only")
        verdict, locked = self._judge_once(case)
        for _ in range(REPEATS):
            if not locked:
                break
            self.repeated += 1
            verdict, locked = self._judge_once(case)
        return verdict

    def _judge_once(self, case: Case) -> tuple[Verdict, bool]:
        self._played += 1
        namespace, start = f"n{self._run}{self._played:05d}", datetime.now(UTC)
        scopes = Scope(namespace, start), Scope(namespace, start)
        futures = [
            self._pool.submit(play, side, case, scope)
            for side, scope in zip((self.reference, self.kernel), scopes, strict=True)
        ]
        ours, theirs = (future.result() for future in futures)
        matcher = Matcher()
        verdict = Verdict(case)
        for step in case.steps:
            self._compare_step(verdict, matcher, step, ours[step.step], theirs[step.step], scopes[0])
            if verdict.findings and not case.independent and not all(f.deviation for f in verdict.findings):
                break
            if any(f.deviation and f.deviation.ends for f in verdict.findings):
                break
        else:
            if self.compare_databases and not any(f.deviation and f.deviation.rows for f in verdict.findings):
                lead = max((abs(ours[one]["elapsed"] - theirs[one]["elapsed"]) for one in ours), default=0.0)
                matcher.tolerance = TOLERANCE_SECONDS + lead
                self._compare_databases(verdict, matcher, start)
        return verdict, self._locked(ours, theirs)

    def _locked(self, ours: dict[int, dict[str, Any]], theirs: dict[int, dict[str, Any]]) -> bool:
        """Whether Python Prefect met a lock. On PostgreSQL it says 503 of values that the database does not take."""
        for side, answers in ((self.reference, ours), (self.kernel, theirs)):
            if side.locks and any(_met_a_lock(answer) for answer in answers.values()):
                return True
        return False

    def _compare_step(
        self, verdict: Verdict, matcher: Matcher, step: Step, ours: dict[str, Any], theirs: dict[str, Any], scope: Scope
    ) -> None:
        if "not played" in (ours["status"], theirs["status"]) and (
            ours["status"] == theirs["status"] or any(f.deviation and f.deviation.whole for f in verdict.findings)
        ):
            return
        options = step if isinstance(step, Request) else None
        matcher.all_close = options is not None and options.tolerance is not None
        # One server may be further along than the other: what both call "now" is as much apart.
        lead = abs(ours["elapsed"] - theirs["elapsed"])
        matcher.tolerance = ((options.tolerance if options else None) or TOLERANCE_SECONDS) + lead
        matcher.id_kinds_matter = not isinstance(step, Rows)
        differences = []
        ignored = getattr(step, "ignore", ())
        if ignored:  # such an answer may hold what is of no concern: its ids do not say which belong together
            matcher = deepcopy(matcher)
        for part in ("status", "headers", "body"):
            differences += matcher.compare(part, ours[part], theirs[part], options.unordered if options else ())
        differences = [difference for difference in differences if not _ignored(difference.place, ignored)]
        sent = _sent(step, scope)
        if options is not None and options.headers:
            sent = {"headers": dict(options.headers), "body": sent}
        before = _sent_before(verdict.case, step, scope) if differences else []
        self._add(verdict, step, differences, ours, theirs, sent, before)

    def _compare_databases(self, verdict: Verdict, matcher: Matcher, start: datetime) -> None:
        assert self.reference.database is not None
        assert self.kernel.database is not None
        matcher.id_kinds_matter = False
        give_up = time.monotonic() + SETTLING_SECONDS
        while True:
            # What was matched in rows that were still to change must not bind what is matched next.
            found = Verdict(verdict.case)
            differences = compare_rows(deepcopy(matcher), self.reference.database, self.kernel.database, start)
            self._add(found, None, differences, None, None, None)
            if all(finding.deviation for finding in found.findings) or time.monotonic() > give_up:
                verdict.findings += found.findings
                return
            time.sleep(SETTLING_PAUSE)

    def _add(
        self,
        verdict: Verdict,
        step: Step | None,
        differences: list[Difference],
        ours: Any,
        theirs: Any,
        sent: Any,
        before: Sequence[Any] = (),
    ) -> None:
        """Add what was found; what is a declared deviation is kept apart from what is not."""
        request = label(step)
        for deviation in self.deviations:
            met = [
                one
                for one in differences
                if deviation.explains(verdict.case.group, request, one, sent, verdict.case.name, before)
            ]
            if met:
                met = differences if deviation.whole else met
                verdict.findings.append(Finding(verdict.case, step, request, met, ours, theirs, sent, deviation))
                differences = [one for one in differences if one not in met]
        if unexplained := differences:
            verdict.findings.append(Finding(verdict.case, step, request, unexplained, ours, theirs, sent))


def _sent(step: Step, scope: Scope) -> Any:
    """What was sent; with its placeholders where Python Prefect could not be sent it."""
    if not isinstance(step, Request) or step.raw is not None:
        return getattr(step, "raw", "")
    try:
        return scope.resolve(step.body)
    except Unresolved:
        return str(step.body)


def _sent_before(case: Case, step: Step, scope: Scope) -> list[Any]:
    """What earlier steps of the case have sent to the path of this one."""
    path = getattr(step, "path", None)
    earlier = takewhile(lambda one: one is not step, case.steps)
    return [_sent(one, scope) for one in earlier if path is not None and getattr(one, "path", None) == path]


def _met_a_lock(answer: dict[str, Any]) -> bool:
    """Whether it says so, or did not come within a minute, or tells of a lock in one of its parts.

    Actions of automations are done by Python Prefect through its own API, two at a time: what one of them is told, an
    event tells.
    """
    if answer["status"] in (503, 0) or (answer["status"] == "race" and "503" in answer["body"]):
        return True
    text = str(answer["body"])
    return "database is locked" in text or "action: 503" in text


def _ignored(place: str, ignored: tuple[str, ...]) -> bool:
    """Whether a place is one of those, or inside of one. `=place` is that place alone."""
    return any(
        place == prefix.removeprefix("=") or place.startswith((f"{prefix}.", f"{prefix}[")) for prefix in ignored
    )
