"""What the run found, as text for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .judge import Finding
from .run import Results
from .script import MISSING, Race, Request, Rows, Seed, Socket, Step, Update
from .shrink import needed

WIDTH = 300
MOST_STEPS = 25


def table(results: Results) -> Iterator[str]:
    """One line per group, and a sum."""
    head = ("group", "sequences", "generated", "requests", "different", "explained", "skipped", "seconds")
    lines: list[tuple[str, ...]] = [head]
    total = [0, 0, 0, 0, 0, 0, 0.0]
    for result in results.groups.values():
        cells = [
            result.sequences, result.generated, result.requests, result.different, result.explained, result.skipped,
            result.seconds,
        ]  # fmt: skip
        total = [one + other for one, other in zip(total, cells, strict=True)]
        lines.append((result.group, *map(_cell, cells)))
    lines.append(("all", *map(_cell, total)))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for number, line in enumerate(lines):
        if number in (1, len(lines) - 1):
            yield "-" * (sum(widths) + 2 * len(widths))
        first, *others = line
        yield "  ".join((first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(others, widths[1:], strict=True))))


def _cell(value: float) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def differences(results: Results, first: int) -> Iterator[str]:
    """The first kinds of differences, each with the shortest script that shows it."""
    for number, ((group, request, place), findings) in enumerate(results.kinds.items(), 1):
        if number > first:
            yield f"... and {len(results.kinds) - first} more kinds of differences."
            return
        yield ""
        yield f"{number}. {group}: {request}, at {place} ({len(findings)} of the cases, first {findings[0].case.name})"
        yield from finding_lines(findings[0])


def finding_lines(finding: Finding) -> Iterator[str]:
    """One finding: the script, then what each side said."""
    if finding.case.title:
        yield f"   {finding.case.title}"
    steps = finding.case.steps
    if len(steps) > MOST_STEPS and finding.step is not None:
        steps = tuple(needed(steps, finding.step))
    elif len(steps) > MOST_STEPS:
        yield f"       (the first {MOST_STEPS} of {len(steps)} steps)"
    for step in steps[:MOST_STEPS]:
        mark = "-->" if finding.step is not None and step.step == finding.step.step else "   "
        yield f"   {mark} {step.step:>2} {shown_step(step)}"
    for difference in finding.differences[:8]:
        yield f"       {difference.where}"
        yield f"         reference: {short(difference.reference)}"
        yield f"         kernel:    {short(difference.kernel)}"
    if len(finding.differences) > 8:
        yield f"       ... and {len(finding.differences) - 8} more places"


def shown_step(step: Step) -> str:
    """A step in one line."""
    match step:
        case Request():
            parts = [step.method, step.path]
            if step.headers:
                parts.append(short(dict(step.headers)))
            if step.raw is not None:
                parts.append(short(step.raw if isinstance(step.raw, str) else step.raw.decode("utf-8", "replace")))
            elif step.body is not MISSING:
                parts.append(short(step.body))
            return " ".join(parts)
        case Race():
            return f"{len(step.requests)} at once: {shown_step(step.requests[0])}"
        case Socket():
            return f"SOCKET {step.path} {short(step.talk)}"
        case Seed():
            return f"SEED {step.table} {short(step.values)}"
        case Update():
            return f"UPDATE {step.table} {short(step.where)} {short(step.values)}"
        case Rows():
            return f"ROWS {step.table} {short(step.where)}"


def short(value: Any, width: int = WIDTH) -> str:
    """A value in one line that is not too long."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= width else f"{text[: width - 3]}..."


def deviations(results: Results) -> Iterator[str]:
    """How often each declared deviation was met."""
    if results.explained:
        yield ""
        yield "Declared deviations met:"
        for name, count in sorted(results.explained.items()):
            deviation = results.examples[name].deviation
            assert deviation is not None
            yield f"   {count:>5}  {name}: {short(' '.join(deviation.reason.split()))}"
