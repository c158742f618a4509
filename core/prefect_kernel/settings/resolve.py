"""Choosing a value for every setting, and saying in one sentence what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import ValidationError

from ..errors import SettingsError
from .fields import Declaration, Group, declarations, groups, json_reading, members
from .sources import Source

G = TypeVar("G", bound=Group)


@dataclass(frozen=True, slots=True)
class Found:
    """A value, and where it was found under which name."""

    value: Any
    source: str
    name: str
    rank: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name or path in a source that means no setting of this tree."""

    name: str
    source: Source
    value: Any


@dataclass(slots=True)
class Resolution:
    """What the sources say about one tree of settings."""

    found: dict[tuple[str, ...], Found] = field(default_factory=dict)
    unknown: list[Unknown] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def offer(self, path: tuple[str, ...], candidate: Found) -> None:
        """Take the candidate unless a better one is there."""
        known = self.found.get(path)
        if known is None or candidate.rank < known.rank:
            self.found[path] = candidate


# The source that comes first wins, and within a source the name that comes first. Only a whole group, given as JSON in
# one variable, wins over the variables of its settings wherever they stand.
OVERRIDE, GROUP = -2, -1
_NAMES_PER_SOURCE = 1000


def rank_of(index: int, position: int) -> int:
    """How good a value is that the source of that index gives under the name of that position; less is better."""
    return index * _NAMES_PER_SOURCE + position


@cache
def _names(root: type[Group]) -> dict[str, tuple[Declaration, int]]:
    return {
        name: (declared, position)
        for declared in declarations(root).values()
        for position, name in enumerate(declared.names)
    }


@cache
def _group_names(root: type[Group]) -> dict[str, tuple[str, ...]]:
    return {"PREFECT_" + "_".join(path).upper(): path for path in groups(root) if path}


def known_names(root: type[Group]) -> set[str]:
    """All names that mean something below a root."""
    return {*_names(root), *_group_names(root)}


def resolve(root: type[Group], sources: list[Source]) -> Resolution:
    """Look every setting below a root up in all sources."""
    resolution = Resolution()
    for index, source in enumerate(sources):
        if source.kind == "table":
            _take_table(root, source, index, resolution)
        else:
            _take_names(root, source, index, resolution)
    return resolution


def _take_names(root: type[Group], source: Source, index: int, resolution: Resolution) -> None:
    names, group_names = _names(root), _group_names(root)
    for name, value in source.values.items():
        if value is None and source.kind != "override":
            continue
        known = names.get(name)
        if known is None and source.kind == "override":
            declared = declarations(root).get(tuple(name.split(".")))
            known = (declared, 0) if declared is not None else None
        if known is not None:
            declared, position = known
            best = OVERRIDE if source.kind == "override" else rank_of(index, position)
            take(declared, best, name, value, source, resolution)
        elif name in group_names and source.kind in ("environment", "dotenv"):
            _take_group(root, group_names[name], name, value, source, resolution)
        elif name.startswith("PREFECT_") or source.kind == "override":
            resolution.unknown.append(Unknown(name, source, value))


def take(declared: Declaration, rank: int, name: str, value: Any, source: Source, resolution: Resolution) -> None:
    """Offer a value, read as JSON where its type wants that."""
    reading = json_reading(declared.annotation) if isinstance(value, str) else "never"
    if reading == "always" or (reading == "try" and source.kind in ("override", "environment", "dotenv")):
        try:
            value = json.loads(value)
        except ValueError:
            if reading == "always":
                found = Found(value, source.label, name, rank)
                resolution.problems.append(_sentence(declared, found, "must be JSON"))
                return
    if value is not None or source.kind == "override":
        resolution.offer(declared.path, Found(value, source.label, name, rank))


def _take_group(
    root: type[Group], path: tuple[str, ...], name: str, value: str, source: Source, resolution: Resolution
) -> None:
    """A whole group as a JSON object in one variable."""
    try:
        content = json.loads(value)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        resolution.problems.append(f"{name} (from {source.label}) must be a JSON object of the settings in its group.")
        return
    for below, found in _leaves(content, path, groups(root)):
        declared = declarations(root).get(below)
        if declared is not None:
            resolution.offer(below, Found(found, source.label, name, GROUP))
        else:
            resolution.unknown.append(Unknown(".".join(below), Source(source.label, "table", {}), found))


def _take_table(root: type[Group], source: Source, index: int, resolution: Resolution) -> None:
    for below, value in _leaves(source.values, (), groups(root)):
        declared = declarations(root).get(below)
        if declared is not None:
            take(declared, rank_of(index, 0), ".".join(below), value, source, resolution)
        elif below in groups(root):
            resolution.problems.append(f"[{'.'.join(below)}] in {source.label} must be a table of settings.")
        else:
            resolution.unknown.append(Unknown(".".join(below), source, value))


def _leaves(
    table: Mapping[str, Any], path: tuple[str, ...], known: Mapping[tuple[str, ...], Any]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        below = (*path, key)
        if below in known and isinstance(value, dict):
            yield from _leaves(value, below, known)
        else:
            yield below, value


# ---------------------------------------------------------------- validation
def build(root: type[G], resolution: Resolution) -> G:
    """The validated settings. Raises SettingsError with one sentence for each bad value."""
    tree: dict[str, Any] = {}
    for path in groups(root):
        here = tree
        for key in path:
            here = here.setdefault(key, {})
    for path, found in resolution.found.items():
        here = tree
        for key in path[:-1]:
            here = here[key]
        here[path[-1]] = found.value
    problems = list(resolution.problems)
    try:
        settings = root.model_validate(tree)
    except ValidationError as error:
        problems += _explain(root, error, resolution)
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _explain(root: type[Group], error: ValidationError, resolution: Resolution) -> list[str]:
    sentences: dict[tuple[str, ...], str] = {}
    for item in error.errors(include_url=False):
        place = tuple(str(part) for part in item["loc"])
        path = next((p for p in declarations(root) if p == place[: len(p)]), None)
        if path is None:  # several settings that do not go together
            sentences.setdefault(place, f"[{'.'.join(place)}]: {item['msg'].removeprefix('Value error, ')}.")
            continue
        declared = declarations(root)[path]
        own = item["msg"].removeprefix("Value error, ") if item["type"] == "value_error" else None
        allowed = own or f"must be {allowed_text(declared)}"
        sentences.setdefault(path, _sentence(declared, resolution.found[path], allowed))
    return list(sentences.values())


def explain_value(declared: Declaration, found: Found, error: ValidationError, secret: bool) -> str:
    """One sentence about a single bad value."""
    item = error.errors(include_url=False)[0]
    own = item["msg"].removeprefix("Value error, ") if item["type"] == "value_error" else None
    return _sentence(declared, found, own or f"must be {allowed_text(declared)}", secret)


def _sentence(declared: Declaration, found: Found, allowed: str, secret: bool = False) -> str:
    shown = "" if secret or declared.secret else f" = {found.value!r}"
    return f"{found.name}{shown} (from {found.source}) is not allowed: {allowed}."


def allowed_text(declared: Declaration) -> str:
    """What a setting may be, in words."""
    kinds = [member for member in members(declared.annotation) if member is not type(None)]
    words = [_kind_text(kind) for kind in kinds]
    text = " or ".join(dict.fromkeys(words))
    limits = {"gt": "greater than", "ge": "at least", "le": "at most"}
    bounds = [f"{limits[kind]} {_plain(limit)}" for kind, limit in declared.limits]
    return f"{text}, {' and '.join(bounds)}" if bounds else text


def _kind_text(kind: Any) -> str:
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        return "one of " + ", ".join(str(choice) for choice in choices if choice != "") + " or empty" * ("" in choices)
    if get_origin(kind) is dict and (inner := _kind_text(get_args(kind)[1])) != "text":
        return f"a mapping whose values are {inner}"
    simple = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        timedelta: "a duration, as in PT5M or 00:05:00",
        Path: "a path",
    }
    if kind in simple:
        return simple[kind]
    collections = {tuple: "a list", list: "a list", set: "a list", dict: "a mapping"}
    return collections.get(get_origin(kind) or kind, "text")


def _plain(value: Any) -> str:
    return f"{value.total_seconds():g} seconds" if isinstance(value, timedelta) else f"{value:g}"
