"""Errors of a validation as a tree: members and items with what is wrong with them, for a form to show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..common.hydration import Placeholder
from ..common.parameters import PLACEHOLDERS


def _foremost(found: Iterable[Any]) -> list[Any]:
    """Errors by place; where there is no value, only why."""
    by_place: dict[str, list[Any]] = {}
    for error in found:
        by_place.setdefault("->".join(map(str, error.relative_path)), []).append(error)
    out = []
    for errors in by_place.values():
        out += [error for error in errors if error.validator == PLACEHOLDERS] or errors
    return out


def _entry(level: list[Any], part: str | int) -> list[Any]:
    """What is wrong within a member or an item; a new list when nothing was said of it yet."""
    kind = "index" if isinstance(part, int) else "property"
    for one in level:
        if isinstance(one, dict) and one.get(kind) == part:
            inner: list[Any] = one["errors"]
            return inner
    entry: dict[str, Any] = {kind: part, "errors": []}
    level.append(entry)
    made: list[Any] = entry["errors"]
    return made


def as_tree(found: Iterable[Any]) -> dict[str, Any]:
    """`errors`, and whether there are none (`valid`); values that a template will give are not judged."""
    root: list[Any] = []
    for error in _foremost(found):
        if isinstance(error.instance, Placeholder) and error.instance.problem is None:
            continue
        path = list(error.relative_path)
        if error.validator == "required":  # told of the member that is missing
            path.append(error.message.partition(" ")[0].strip("'"))
        if not path:
            root.append(error.message)
            continue
        level = root
        for part in path[:-1]:
            level = _entry(level, part)
        last = path[-1]
        level.append({"index" if isinstance(last, int) else "property": last, "errors": [error.message]})
    return {"errors": root, "valid": not root}
