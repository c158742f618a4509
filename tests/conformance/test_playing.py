"""What the runner does around the playing: several cases at once, rows that settle, and the routes that there are."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from prefect_kernel_conformance import lanes, routes
from prefect_kernel_conformance.deviations import Addition, additions, load
from prefect_kernel_conformance.judge import Finding, Judge, Verdict, _sent_before
from prefect_kernel_conformance.matcher import Difference
from prefect_kernel_conformance.player import Side
from prefect_kernel_conformance.run import Choice, Results, choose, play_all
from prefect_kernel_conformance.script import CLOSE, OPEN, Case, Race, Request, Scope, Socket

from prefect_kernel.testing import MakeKernel, make_kernel

__all__ = ["make_kernel"]


class FakeSide:
    """A server that nobody asks."""

    requests = 0
    locks = False


class FakeJudge:
    """Finds a difference in the cases named; in those of `beside` only while another case is played."""

    def __init__(self, log: list[str], wrong: Sequence[str] = (), beside: Sequence[str] = ()) -> None:
        self.reference = self.kernel = FakeSide()
        self.log, self.wrong, self.beside = log, wrong, set(beside)

    def judge(self, case: Case) -> Verdict:
        """Judge by the name."""
        self.log.append(case.name)
        if case.name == "broken":
            raise RuntimeError("no such luck")
        first = case.name in self.beside
        self.beside.discard(case.name)
        differs = first or case.name in self.wrong
        found = Finding(case, None, "GET /x", [Difference("status", 200, 500)])
        return Verdict(case, [found] if differs else [])


def cases(*names: str, alone: Sequence[str] = ()) -> list[Case]:
    """Generated cases of these names."""
    return [Case("group", name, (), alone=name in alone) for name in names]


def judges(count: int, **options: Any) -> tuple[list[Judge], list[str]]:
    """Judges that share what they find, and the log of what they have judged."""
    log: list[str] = []
    one = FakeJudge(log, **options)
    return cast("list[Judge]", [one] * count), log


def played(found: Results) -> tuple[int, int]:
    """How many cases were generated, and how many differed."""
    return found.groups["group"].generated, found.groups["group"].different


def test_cases_side_by_side() -> None:
    """Each is played once, those that must be alone after all before them and before all after them."""
    some, log = judges(3)
    found = play_all(
        some, cases("a[0]", "a[1]", "b[0]", "c[0]", "c[1]", alone=["b[0]"]), show_progress=False, shorten=0
    )
    assert sorted(log[:2]) == ["a[0]", "a[1]"]
    assert log[2] == "b[0]"
    assert sorted(log[3:]) == ["c[0]", "c[1]"]
    assert played(found) == (5, 0)
    assert not found.unsteady


def test_what_differs_beside_others_is_played_alone() -> None:
    """Only what differs alone, too, counts; the rest is told."""
    some, log = judges(2, wrong=["a[0]"], beside=["a[1]"])
    found = play_all(some, cases("a[0]", "a[1]", "a[2]"), show_progress=False, shorten=0)
    assert log.count("a[0]") == log.count("a[1]") == 2
    assert played(found) == (3, 1)
    assert found.unsteady == ["group.a[1]"]
    assert found.different


def test_what_waits_for_a_time_of_its_own_is_played_again() -> None:
    """A case with a socket that differs once is told of; without one it is a difference, and so is what stays."""
    socket = Socket(0, "/events/out", [("silence", 0.1)])
    for steps, wrong, differs in (((socket,), [], 0), ((), [], 1), ((socket,), ["a[0]"], 1)):
        some, log = judges(1, wrong=wrong, beside=["a[0]"])
        found = play_all(some, [Case("group", "a[0]", steps)], show_progress=False, shorten=0)
        assert len(log) == 1 + bool(steps)
        assert played(found) == (1, differs)
        assert found.unsteady == (["group.a[0]"] if not differs else [])


def test_lanes_really_play_at_the_same_time() -> None:
    """Two cases that wait for each other come to an end."""
    both = threading.Barrier(2, timeout=20)

    class Waits(FakeJudge):
        def judge(self, case: Case) -> Verdict:
            both.wait()
            return Verdict(case)

    some = cast("list[Judge]", [Waits([]), Waits([])])
    assert len(list(lanes.play_together(some, cases("a[0]", "a[1]")))) == 2


def test_a_lane_that_breaks_ends_the_run() -> None:
    """What nobody expects is not swallowed."""
    some, _ = judges(2)
    with pytest.raises(RuntimeError, match="no such luck"):
        play_all(some, cases("a[0]", "broken", "a[1]"), show_progress=False, shorten=0)


class Settling:
    """A database in which a row gets its time only after it has been read `late` times."""

    dialect = "postgres"

    def __init__(self, late: int) -> None:
        self.late = late

    def select(
        self, table: str, where: Mapping[str, Any], order_by: str | None = None, columns: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The queue."""
        if table != "work_queue":
            return []
        self.late -= 1
        time = "2026-11-21T10:00:00.000000Z"
        row = {"id": QUEUE, "created": time, "updated": time}
        return [{**row, "last_polled": None if self.late >= 0 else time}]

    def close(self) -> None:
        """Nothing to close."""


QUEUE = "11111111-1111-4111-8111-111111111111"


@pytest.mark.parametrize(("late", "differs"), [(2, False), (10_000, True)])
@pytest.mark.parametrize("which", ["reference", "kernel"])
def test_rows_that_are_yet_to_change(monkeypatch: pytest.MonkeyPatch, which: str, late: int, differs: bool) -> None:
    """A row that one server writes after its answer is waited for, on either side, but not for ever."""
    from prefect_kernel_conformance import judge as judging

    monkeypatch.setattr(judging, "SETTLING_SECONDS", 0.3)
    monkeypatch.setattr(judging, "SETTLING_PAUSE", 0.01)
    sides = [
        Side(name, "http://x/api", cast("Any", Settling(late if name == which else 0)))
        for name in ("reference", "kernel")
    ]
    answer = {"status": 200, "headers": {}, "body": {"id": QUEUE}, "elapsed": 0.0}
    monkeypatch.setattr(judging, "play", lambda *_: {0: answer})
    judge = Judge(sides[0], sides[1], [])
    verdict = judge.judge(Case("group", "a[0]", (Request(0, "GET", "/x"),)))
    assert bool(verdict.findings) is differs


def test_routes_of_both_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are compared; what only one has is a difference unless it is declared; what was not played is told."""
    ours = {("GET", "/a/{}"), ("GET", "/a/name"), ("POST", "/b/"), ("DELETE", "/gone/{}")}
    theirs = {("GET", "/a/{}"), ("GET", "/a/name"), ("POST", "/b/"), ("GET", "/kernel/x"), ("GET", "/new")}
    declared = {"http://r/api": ours, "http://k/api": theirs}
    monkeypatch.setattr(routes, "declared_by", declared.get)
    sides = [Side("reference", "http://r/api"), Side("kernel", "http://k/api"), Side("kernel", "http://k/api")]
    sides[1].asked.add(("GET", "/api/a/name"))
    sides[2].asked.add(("PUT", "/api/b/"))
    found = routes.check(sides, [Addition("own", "for a reason", routes=["* /kernel/*"])])
    assert found is not None
    assert found.missing == [("DELETE", "/gone/{}")]
    assert found.undeclared == [("GET", "/new")]
    assert found.added == [("GET", "/kernel/x")]
    assert found.never_played == [("GET", "/a/{}"), ("POST", "/b/")]
    results = Results()
    results.add_routes(found)
    assert {request for _, request, _ in results.kinds} == {"DELETE /gone/{}", "GET /new"}
    assert results.different


def test_every_route_is_asked_for(make_kernel: MakeKernel) -> None:
    """The cases ask for each route that the kernel has in common with Prefect, all of them."""
    own = additions()
    common = set()
    for group in make_kernel().kernel.groups:
        for endpoint in group.endpoints:
            path = re.sub(r"\{[^}]*\}", "{}", endpoint.path)
            added = any(one.covers(endpoint.method, path) for one in own)
            if not group.root and not added and not path.endswith(routes.ABOUT_THE_API):
                common.add((endpoint.method, path))
    asked = set()
    for case in choose(Choice(cases=2)):
        for step in case.steps:
            for request in [step] if isinstance(step, Request) else step.requests if isinstance(step, Race) else []:
                path = re.sub(f"{OPEN}[^{CLOSE}]*{CLOSE}", "x", request.path).partition("?")[0]
                asked.add((request.method, path))
    assert len(common) > 180
    assert routes.never_asked(common, asked) == []


def test_what_was_sent_before_counts() -> None:
    """A deviation over what a run was given earlier explains nothing of other runs, nor of other results."""
    [bare] = [one for one in load() if one.id == "bare-results-of-task-runs"]
    paths = {name: f"/task_runs/{OPEN}0.{name}{CLOSE}/set_state" for name in ("bare", "other")}
    proposed = {"state": {"type": "RUNNING"}}

    def explained(*sent: tuple[str, dict[str, Any]]) -> bool:
        steps = [Request(number, "POST", paths[name], body=body) for number, (name, body) in enumerate(sent)]
        before = _sent_before(Case("group", "case", tuple(steps)), steps[-1], Scope("n", datetime.now(UTC)))
        difference = Difference("status", 500, 200)
        return bare.explains("group", "POST /task_runs/*/set_state", difference, proposed, "case", before)

    def ended(data: Any, type_: str = "COMPLETED") -> dict[str, Any]:
        return {"state": {"type": type_, "data": data}, "force": True}

    bare_ones: list[Any] = [5, "x", [1], True, 0.5]
    for data in bare_ones:
        assert explained(("bare", ended(data)), ("bare", proposed)), data
        assert not explained(("other", ended(data)), ("bare", proposed)), data
        assert not explained(("bare", ended(data, "FAILED")), ("bare", proposed)), data
    others: list[Any] = [None, {}, {"type": "reference"}, "", [], 0, False]
    for data in others:
        assert not explained(("bare", ended(data)), ("bare", proposed)), data
    assert not explained(("bare", proposed))
