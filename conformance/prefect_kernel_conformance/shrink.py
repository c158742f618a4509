"""Finds the shortest script that still shows a difference of the same kind."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from .judge import Finding
from .script import CLOSE, OPEN, Case, Request, Step

Replay = Callable[[Case], list[Finding]]
BUDGET = 60
SECONDS = 15.0


def shrink(finding: Finding, replay: Replay, budget: int = BUDGET) -> Finding:
    """Leave out steps, then parts of bodies, as long as a finding with the same signature remains."""
    best, tries, give_up = finding, 0, time.monotonic() + SECONDS

    def attempt(steps: list[Step]) -> bool:
        nonlocal best, tries
        if tries >= budget or not steps or time.monotonic() > give_up:
            return False
        tries += 1
        for found in replay(best.case.keeping(steps)):
            if found.signature == finding.signature and found.deviation is None:
                best = found
                return True
        return False

    if finding.step is not None:
        attempt(needed(finding.case.steps, finding.step))
        numbers = [step.step for step in best.case.steps]
        attempt(list(best.case.steps[: numbers.index(finding.step.step) + 1]))
    _leave_out_steps(lambda: best, attempt)
    _leave_out_parts(lambda: best, attempt)
    return best


def needed(steps: Sequence[Step], last: Step) -> list[Step]:
    """The step, and those whose answers it uses, directly or not."""
    wanted = {last.step}
    for step in reversed(steps):
        if step.step in wanted:
            wanted |= {int(number) for number in re.findall(rf"{OPEN}(\d+)[/{CLOSE}]", _all_text(step))}
    return [step for step in steps if step.step in wanted]


def _all_text(step: Step) -> str:
    return " ".join(str(value) for value in vars(step).values())


def _leave_out_steps(best: Callable[[], Finding], attempt: Callable[[list[Step]], bool]) -> None:
    position = len(best().case.steps) - 1
    while position >= 0:
        steps = list(best().case.steps)
        if position < len(steps):
            attempt(steps[:position] + steps[position + 1 :])
        position -= 1


def _leave_out_parts(best: Callable[[], Finding], attempt: Callable[[list[Step]], bool]) -> None:
    progress = True
    while progress:
        progress = False
        steps = list(best().case.steps)
        for position, step in enumerate(steps):
            if not isinstance(step, Request) or not isinstance(step.body, dict | list):
                continue
            for smaller in _smaller(step.body):
                if attempt([*steps[:position], replace(step, body=smaller), *steps[position + 1 :]]):
                    progress = True
                    break
            if progress:
                break


def _smaller(value: Any) -> Iterator[Any]:
    """The value with one part left out: outer parts first."""
    if isinstance(value, dict):
        for key in value:
            yield {other: item for other, item in value.items() if other != key}
        for key, item in value.items():
            for smaller in _smaller(item):
                yield {**value, key: smaller}
    elif isinstance(value, list):
        for position in range(len(value)):
            yield value[:position] + value[position + 1 :]
        for position, item in enumerate(value):
            for smaller in _smaller(item):
                yield [*value[:position], smaller, *value[position + 1 :]]
