"""Several cases at the same time: while one waits for an answer, the servers have others to answer.

What a generated case sees is its own: names and ids nobody else uses. So it may be played beside others, each on
connections of its own (a judge for each lane). Where one that differs beside others does not when it is played alone,
that is said, and not counted as a difference.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

from .judge import Judge, Verdict
from .script import Case


@dataclass(frozen=True)
class Played:
    """One case that was played, what it took (requests to the kernel, seconds), and what came of it."""

    case: Case
    verdict: Verdict
    requests: int
    seconds: float

    @property
    def differs(self) -> bool:
        """Whether something differs that no deviation declares."""
        return any(finding.deviation is None for finding in self.verdict.findings)


def play(judge: Judge, case: Case) -> Played:
    """Play one case."""
    began, sent = time.monotonic(), judge.kernel.requests
    verdict = judge.judge(case)
    return Played(case, verdict, judge.kernel.requests - sent, time.monotonic() - began)


def play_together(judges: Sequence[Judge], cases: Sequence[Case]) -> Iterator[Played]:
    """Play cases, as many at a time as there are judges; in the order in which they end."""
    waiting, lock, stop = iter(cases), threading.Lock(), threading.Event()
    ended: SimpleQueue[Played | BaseException] = SimpleQueue()

    def lane(judge: Judge) -> None:
        try:
            while not stop.is_set():
                with lock:
                    case = next(waiting, None)
                if case is None:
                    return
                ended.put(play(judge, case))
        except BaseException as error:  # noqa: BLE001 - raised again where the cases are counted
            ended.put(error)

    with ThreadPoolExecutor(len(judges)) as pool:
        try:
            for judge in judges:
                pool.submit(lane, judge)
            for _ in cases:
                played = ended.get()
                if isinstance(played, BaseException):
                    raise played
                yield played
        finally:
            stop.set()
