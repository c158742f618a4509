"""The report as one HTML file without anything outside of it."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .coverage import COLUMNS as COVERED
from .coverage import Covered
from .deviations import Deviation
from .judge import Finding
from .report import shown_step
from .run import Results
from .shrink import needed

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1b1b1b }
table { border-collapse: collapse; width: 100% } th, td { text-align: right; padding: .3rem .6rem }
th:first-child, td:first-child { text-align: left } tr { border-bottom: 1px solid #ddd }
pre { background: #f6f6f6; padding: .7rem; overflow-x: auto; font-size: 13px }
.ok { color: #14711f } .bad { color: #b3261e } details { margin: .5rem 0 } summary { cursor: pointer }
.sides { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem }
"""
HOW = """
Each case is a script of requests that was played on both servers, which began with empty databases. Status, headers
that clients read, bodies with their order, WebSocket frames, and the rows of both databases were compared. Ids and
times are matched, not left out: what is one id or one time on one server must be one on the other. A case is
<em>different</em> when something differs that no deviation below declares, <em>explained</em> when only declared
deviations were met.
"""
MANY = 40
COLUMNS = ("sequences", "generated", "requests", "different", "explained", "skipped")


def write(path: Path, results: Results, deviations: list[Deviation], facts: dict[str, Any]) -> None:
    """Write the report."""
    path.write_text("\n".join(_page(results, deviations, facts)), encoding="utf-8")


def _page(results: Results, deviations: list[Deviation], facts: dict[str, Any]) -> Iterator[str]:
    yield "<!doctype html><html lang=en><meta charset=utf-8><title>Conformance with Python Prefect 3.8.8</title>"
    yield f"<style>{STYLE}</style><h1>Conformance with Python Prefect 3.8.8</h1>"
    kinds = len(results.kinds)
    verdict = "No unexplained difference." if not kinds else f"{kinds} kinds of unexplained differences."
    yield f"<p class={'bad' if kinds else 'ok'}><strong>{verdict}</strong></p>"
    yield "<p>" + ", ".join(f"{_text(name)}: {_text(value)}" for name, value in facts.items())
    yield f", made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.</p>"
    for note in results.notes:
        yield f"<p>{_text(note)}</p>"
    yield f"<p>{HOW}</p>"
    yield "<h2>Groups</h2><table><tr><th>group" + "".join(f"<th>{name}" for name in COLUMNS) + "</tr>"
    for result in results.groups.values():
        cells = "".join(f"<td>{getattr(result, name)}" for name in COLUMNS)
        yield f"<tr><td class={'bad' if result.different else 'ok'}>{_text(result.group)}{cells}</tr>"
    sums = [sum(getattr(result, name) for result in results.groups.values()) for name in COLUMNS]
    yield "<tr><th>all" + "".join(f"<th>{number}" for number in sums) + "</tr></table>"
    for reason, count in results.skipped.items():
        yield f"<p>{count} cases were skipped: {_text(reason)}</p>"
    if results.kinds:
        yield "<h2>Differences</h2>"
        for (group, request, place), findings in results.kinds.items():
            yield f"<details><summary><strong>{_text(group)}</strong> {_text(request)} at <code>{_text(place)}</code>"
            yield f" ({len(findings)} cases)</summary>"
            yield from _finding(findings[0])
            yield "</details>"
    if results.routes:
        yield "<h2>Routes</h2>"
        yield from (f"<p>{_text(line)}</p>" for line in results.routes.lines(True))
    if results.coverage:
        yield from _coverage(results.coverage)
    yield "<h2>Declared deviations</h2>"
    for deviation in deviations:
        met = results.explained.get(deviation.id, 0)
        yield f"<details><summary><strong>{_text(deviation.id)}</strong> (met {met} times)</summary>"
        yield f"<p>{_text(deviation.reason)}</p>"
        if deviation.id in results.examples:
            yield from _finding(results.examples[deviation.id])
        yield "</details>"
    if not deviations:
        yield "<p>None.</p>"
    yield "</html>"


def _coverage(covered: list[Covered]) -> Iterator[str]:
    yield "<h2>Rules</h2><p>Counted by the kernel: in how many transitions a rule fired (it decided or changed"
    yield " something), in how many it did not, and in how many a rule before it had decided or changed the state.</p>"
    yield "<table><tr><th>policy<th>rule" + "".join(f"<th>{name}" for name in COVERED) + "</tr>"
    for one in covered:
        kind = "bad" if one.holes else "ok"
        preceded = "first" if one.first else one.preceded
        yield f"<tr><td>{_text(one.policy)}<td class={kind}>{_text(one.rule)}<td>{one.fired}<td>{one.not_fired}"
        yield f"<td>{preceded}</tr>"
    yield "</table>"


def _finding(finding: Finding) -> Iterator[str]:
    yield f"<p>{_text(finding.case.group)}.{_text(finding.case.name)}: {_text(finding.case.title)}</p><pre>"
    steps = list(finding.case.steps)
    if finding.step is not None and len(steps) > MANY:
        yield _text(f"(of {len(steps)} steps those that this one needs)\n")
        steps = needed(steps, finding.step)
    for step in steps:
        mark = "→" if finding.step is not None and step.step == finding.step.step else " "
        yield _text(f"{mark} {step.step:>2} {shown_step(step)}")
    yield "</pre>"
    for difference in finding.differences:
        yield f"<p><code>{_text(difference.where)}</code></p><div class=sides>"
        yield f"<pre>Python Prefect\n{_json(difference.reference)}</pre>"
        yield f"<pre>kernel\n{_json(difference.kernel)}</pre></div>"
    if finding.reference is not None:
        yield "<details><summary>The whole answers</summary><div class=sides>"
        yield f"<pre>{_json(finding.reference)}</pre><pre>{_json(finding.kernel)}</pre></div></details>"


def _text(value: Any) -> str:
    return html.escape(str(value))


def _json(value: Any) -> str:
    return _text(value if isinstance(value, str) else json.dumps(value, indent=2, default=str, ensure_ascii=False))
