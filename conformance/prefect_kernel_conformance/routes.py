"""Which routes both servers have, all of them: read from the OpenAPI documents that they give.

A route that only Python Prefect has is a difference, and so is one that only the kernel has, unless it is declared as
an addition. Of the others it is counted which were played: a route that no case asks for shows as a hole.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .deviations import Addition
from .judge import Finding
from .matcher import ABSENT, Difference
from .player import Side
from .script import Case

METHODS = {"get", "post", "put", "patch", "delete", "head", "options"}
# Both servers have these, and Python Prefect's framework leaves them out of its document.
ABOUT_THE_API = ("/openapi.json", "/docs", "/redoc")
GROUP = "routes"
Route = tuple[str, str]
"""Method and path below the API's, parameters as `{}`."""


@dataclass
class Routes:
    """What is to be said of routes."""

    common: list[Route] = field(default_factory=list)
    missing: list[Route] = field(default_factory=list)
    undeclared: list[Route] = field(default_factory=list)
    added: list[Route] = field(default_factory=list)
    never_played: list[Route] = field(default_factory=list)
    """Those of `common` that no case asked for."""

    def findings(self) -> list[Finding]:
        """Routes that only one server has, as differences."""
        case = Case(GROUP, "routes", (), "The routes in the OpenAPI documents of both servers.")
        found = [(route, "there", ABSENT) for route in self.missing]
        found += [(route, ABSENT, "there") for route in self.undeclared]
        return [
            Finding(case, None, f"{method} {path}", [Difference("route", ours, theirs)])
            for (method, path), ours, theirs in found
        ]

    def lines(self, whole: bool) -> list[str]:
        """For a person; with those never played where the `whole` was to be played."""
        played = len(self.common) - len(self.never_played)
        lines = [f"{len(self.common)} routes are on both servers, {played} of them were played."]
        if self.added:
            lines.append(f"{len(self.added)} more are declared additions of the kernel (conformance/DEVIATIONS.md).")
        return lines + [f"   never played: {method} {path}" for method, path in self.never_played if whole]


def declared_by(api_url: str) -> set[Route] | None:
    """The routes of a server; None where it gives no document."""
    origin = api_url.removesuffix("/api")
    try:
        with urllib.request.urlopen(f"{origin}/openapi.json", timeout=120) as answer:
            paths = json.load(answer)["paths"]
    except (urllib.error.URLError, OSError, ValueError, KeyError):
        return None
    return {
        (method.upper(), re.sub(r"\{[^}]*\}", "{}", path.removeprefix("/api")))
        for path, methods in paths.items()
        for method in methods
        if method in METHODS and not path.endswith(ABOUT_THE_API)
    }


def check(sides: Sequence[Side], additions: Sequence[Addition]) -> Routes | None:
    """Compare the routes of both servers. `sides`: Python Prefect's and the kernel's, of each lane."""
    reference = next(side for side in sides if side.name == "reference")
    kernel = next(side for side in sides if side.name == "kernel")
    ours, theirs = declared_by(reference.api_url), declared_by(kernel.api_url)
    if ours is None or theirs is None:
        return None
    more = sorted(theirs - ours, key=_by_path)
    declared = [route for route in more if any(one.covers(*route) for one in additions)]
    common = sorted(ours & theirs, key=_by_path)
    asked = {(method, path.removeprefix("/api")) for side in sides for method, path in side.asked}
    return Routes(
        common=common,
        missing=sorted(ours - theirs, key=_by_path),
        undeclared=[route for route in more if route not in declared],
        added=declared,
        never_played=never_asked(common, asked),
    )


def _by_path(route: Route) -> tuple[str, str]:
    return route[1], route[0]


def never_asked(routes: Iterable[Route], asked: set[Route]) -> list[Route]:
    """The routes that none of the requests was for. A request is for the route with the fewest parameters that fits."""
    ordered = sorted(routes, key=lambda route: route[1].count("{}"))
    patterns = [(route, re.compile(re.escape(route[1]).replace(r"\{\}", "[^/]+") + "$")) for route in ordered]
    played = set()
    for method, path in asked:
        fits = (route for route, pattern in patterns if route[0] == method and pattern.match(path))
        if (route := next(fits, None)) is not None:
            played.add(route)
    return [route for route in routes if route not in played]
