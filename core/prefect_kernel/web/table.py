"""The fast table: (method, path) to endpoint, looked up before any framework is involved."""

from __future__ import annotations

import re
from typing import Generic, TypeVar
from urllib.parse import unquote

from .. import errors

T = TypeVar("T")

_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\Z")


class _Node(Generic[T]):
    __slots__ = ("children", "leaf", "name", "parameters")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.parameters: list[tuple[str, str, _Node[T]]] = []  # (name, converter, node), uuid first
        self.leaf: dict[str, T] | None = None


def _canonical(segment: str) -> str:
    """An id in its canonical form; empty for what is no id."""
    if not _UUID.match(segment):
        return ""
    plain = segment.replace("-", "").lower()
    return f"{plain[:8]}-{plain[8:12]}-{plain[12:16]}-{plain[16:20]}-{plain[20:]}"


class Table(Generic[T]):
    """Path templates, matched segment by segment; a fixed segment wins over a parameter, an id over a name."""

    def __init__(self) -> None:
        self._static: dict[str, dict[str, T]] = {}
        self._root: _Node[T] = _Node()
        self._declared: list[T] = []

    def add(self, method: str, template: str, target: T) -> None:
        """Enter a route; raises PluginError when (method, path) is taken."""
        if "{" not in template:
            leaf = self._static.setdefault(template, {})
        else:
            node = self._root
            for segment in template.split("/"):
                if segment.startswith("{"):
                    name, _, converter = segment[1:-1].partition(":")
                    for known_name, known, child in node.parameters:
                        if (known_name, known) == (name, converter or "str"):
                            node = child
                            break
                    else:
                        child = _Node()
                        node.parameters.append((name, converter or "str", child))
                        node.parameters.sort(key=lambda p: ("uuid", "str", "path").index(p[1]))
                        node = child
                else:
                    node = node.children.setdefault(segment, _Node())
            if node.leaf is None:
                node.leaf = {}
            leaf = node.leaf
        if method in leaf:
            raise errors.PluginError(f"{method} {template} is declared twice.")
        leaf[method] = target
        self._declared.append(target)

    def match(self, path: str) -> tuple[dict[str, T], dict[str, str]] | None:
        """The targets by method of the template that fits, and the path's parameters."""
        leaf = self._static.get(path)
        if leaf is not None:
            return leaf, {}
        parameters: dict[str, str] = {}
        found = self._descend(self._root, path.split("/"), 0, parameters)
        return None if found is None else (found, parameters)

    def matches(self, path: str) -> list[tuple[dict[str, T], dict[str, str]]]:
        """As `match`, for every template that fits, the best first."""
        leaf = self._static.get(path)
        found: list[tuple[dict[str, T], dict[str, str]]] = [] if leaf is None else [(leaf, {})]
        self._collect(self._root, path.split("/"), 0, {}, found)
        return found

    def first_method(self, path: str) -> str:
        """The method that was declared first of all that fit a path."""
        methods = {id(target): method for leaf, _ in self.matches(path) for method, target in leaf.items()}
        return next(methods[id(target)] for target in self._declared if id(target) in methods)

    def _collect(
        self,
        node: _Node[T],
        segments: list[str],
        at: int,
        taken: dict[str, str],
        found: list[tuple[dict[str, T], dict[str, str]]],
    ) -> None:
        if at == len(segments):
            if node.leaf is not None:
                found.append((node.leaf, taken))
            return
        child = node.children.get(segments[at])
        if child is not None:
            self._collect(child, segments, at + 1, taken, found)
        for name, converter, child in node.parameters:
            if converter == "path":
                if child.leaf is not None:
                    found.append((child.leaf, {**taken, name: unquote("/".join(segments[at:]))}))
                continue
            value = _canonical(segments[at]) if converter == "uuid" else segments[at]
            if value:
                self._collect(child, segments, at + 1, {**taken, name: value}, found)

    def _descend(self, node: _Node[T], segments: list[str], at: int, out: dict[str, str]) -> dict[str, T] | None:
        if at == len(segments):
            return node.leaf
        segment = segments[at]
        child = node.children.get(segment)
        if child is not None:
            found = self._descend(child, segments, at + 1, out)
            if found is not None:
                return found
        for name, converter, child in node.parameters:
            if converter == "path":
                if child.leaf is not None:
                    out[name] = unquote("/".join(segments[at:]))
                    return child.leaf
                continue
            if converter == "uuid":
                value = _canonical(segment)
            else:
                value = segment
            if not value:
                continue
            found = self._descend(child, segments, at + 1, out)
            if found is not None:
                out[name] = value
                return found
        return None
