"""Hiding the secrets of a block's data, by the paths that its schema gives: `token`, `auth.password`, `headers.*`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

HIDDEN = "********"

Path = tuple[str, ...]


def secret_paths(fields: Any) -> list[Path]:
    """The paths of the secrets that a schema's fields name."""
    given = fields.get("secret_fields") if isinstance(fields, dict) else None
    return [tuple(path.split(".")) for path in given if isinstance(path, str)] if isinstance(given, list) else []


def leaves(data: dict[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The values in nested objects with their paths; an empty object is a value."""
    for key, value in data.items():
        path = (*above, key)
        if isinstance(value, dict) and value:
            yield from leaves(value, path)
        else:
            yield path, value


def nested(flat: dict[Path, Any]) -> dict[str, Any]:
    """Nested objects from values with their paths."""
    out: dict[str, Any] = {}
    for path, value in flat.items():
        inner = out
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = value
    return out


def hidden(data: dict[str, Any], secrets: list[Path]) -> dict[str, Any]:
    """The data with its secrets replaced. Null is no secret, except below a wildcard."""
    if not secrets:
        return data
    flat = dict(leaves(data))
    for secret in secrets:
        if flat.get(secret) is not None:
            flat[secret] = HIDDEN
        elif "*" in secret:
            at = secret.index("*")
            for path in flat:
                if path[:at] == secret[:at]:
                    flat[path] = HIDDEN
    return nested(flat)


def restored(given: dict[str, Any], current: dict[str, Any], secrets: list[Path]) -> dict[str, Any]:
    """New data in which hidden secrets, sent back as they were shown, stand for what is stored.

    Raises KeyError for a hidden value below a wildcard that nothing is stored for.
    """
    if not secrets:
        return given
    new, old = dict(leaves(given)), dict(leaves(current))
    for secret in secrets:
        if old.get(secret) is not None:
            if new.get(secret) == HIDDEN:
                new[secret] = old[secret]
        elif "*" in secret:
            at = secret.index("*")
            for path in new:
                if path[:at] == secret[:at] and new[path] == HIDDEN:
                    new[path] = old[path]
    return nested(new)
