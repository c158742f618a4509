"""Declared deviations and additions: which differences are explained, and the page that lists them.

`python -m prefect_kernel_conformance.deviations` prints that page.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any

from .matcher import Difference

HEAD = """# Deviations

Where the kernel answers otherwise than Python Prefect 3.8.8, and why. Made from
`prefect_kernel_conformance/deviations.toml` by `python -m prefect_kernel_conformance.deviations`; the runner reads the
same file, counts what it explains, and fails on every difference that it does not.
"""

ADDITIONS_HEAD = """# Additions

What the kernel has, and Python Prefect has not. The runner reads the routes of both servers from their OpenAPI
documents, and fails on a route that only Python Prefect has, and on one that only the kernel has and that is not
declared here.
"""


@dataclass(frozen=True)
class Deviation:
    """One declared difference.

    `whole`: where it is met, it explains the rest of the answer, too, and later requests that Python Prefect cannot be
    sent without that answer. `rows`: it also explains that the databases differ afterwards. `dialect`: the only kind of
    database on which there is one. `case`: a glob over the names of cases. `more`: the kernel's number is the greater.
    `ends`: the servers have parted on purpose, and what a case does after it is not compared. `before`: a regular
    expression over what the case must have sent to the same path earlier.
    """

    id: str
    reason: str
    request: str
    place: str
    group: str = "*"
    reference: str | None = None
    kernel: str | None = None
    sent: str | None = None
    whole: bool = False
    rows: bool = False
    dialect: str | None = None
    case: str = "*"
    more: bool = False
    ends: bool = False
    before: str | None = None

    def explains(
        self,
        group: str,
        request: str,
        difference: Difference,
        sent: Any = None,
        case: str = "",
        before: Sequence[Any] = (),
    ) -> bool:
        """Whether this is the reason for the difference; `before` is what the case has sent to the same path."""
        return (
            fnmatchcase(group, self.group)
            and fnmatchcase(case, self.case)
            and (not self.more or _greater(difference.kernel, difference.reference))
            and fnmatchcase(request, self.request)
            and fnmatchcase(difference.place, self.place.replace("[]", "[[][]]"))
            and _says(self.reference, difference.reference)
            and _says(self.kernel, difference.kernel)
            and _says(self.sent, sent)
            and (self.before is None or any(_says(self.before, one) for one in before))
        )


@dataclass(frozen=True)
class Addition:
    """What the kernel has, and Python Prefect has not: `routes` are globs over "METHOD /path" with parameters as {}.

    `headers` are names of headers, in answers to what `where` says in words.
    """

    id: str
    reason: str
    routes: Sequence[str] = ()
    headers: Sequence[str] = ()
    where: str = ""

    def covers(self, method: str, path: str) -> bool:
        """Whether the route is one of these."""
        return any(fnmatchcase(f"{method} {path}", pattern) for pattern in self.routes)


def _greater(one: Any, other: Any) -> bool:
    return isinstance(one, int | float) and isinstance(other, int | float) and one > other


def _says(pattern: str | None, value: Any) -> bool:
    if pattern is None:
        return True
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return re.search(pattern, text) is not None


def load() -> list[Deviation]:
    """All of them."""
    return [Deviation(**entry) for entry in _file().get("deviation", [])]


def additions() -> list[Addition]:
    """What the kernel has in addition."""
    return [Addition(**entry) for entry in _file().get("addition", [])]


def _file() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("deviations.toml").read_text(encoding="utf-8"))


def page(deviations: list[Deviation], added: list[Addition]) -> str:
    """The Markdown page."""
    parts = [HEAD]
    for deviation in deviations:
        lines = [f"## {deviation.id}", "", deviation.reason.strip(), ""]
        lines.append(f"- Requests: `{deviation.request}`, group `{deviation.group}`, at `{deviation.place}`")
        if deviation.case != "*":
            lines.append(f"- Cases: `{deviation.case}`")
        if deviation.more:
            lines.append("- The kernel's number is the greater one.")
        if deviation.dialect is not None:
            lines.append(f"- Database: {deviation.dialect}")
        if deviation.sent is not None:
            lines.append(f"- Sent: `{deviation.sent}`")
        if deviation.before is not None:
            lines.append(f"- Sent before: `{deviation.before}`")
        if deviation.reference is not None:
            lines.append(f"- Python Prefect: `{deviation.reference}`")
        if deviation.kernel is not None:
            lines.append(f"- Kernel: `{deviation.kernel}`")
        parts.append("\n".join(lines) + "\n")
    parts.append(ADDITIONS_HEAD)
    for addition in added:
        lines = [f"## {addition.id}", "", addition.reason.strip(), ""]
        if addition.routes:
            lines.append(f"- Routes: {', '.join(f'`{route}`' for route in addition.routes)}")
        if addition.headers:
            lines.append(f"- Headers: {', '.join(f'`{name}`' for name in addition.headers)}, in {addition.where}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(load(), additions()), end="")
