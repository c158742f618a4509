"""Checksums of block schemas, the same that clients compute of their block classes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from prefect_kernel import errors

_PREFIX = "#/definitions/"


def references(value: Any) -> Iterator[Any]:
    """What `$ref` says, wherever it stands in a JSON value, from the outside to the inside."""
    if isinstance(value, dict):
        if found := value.get("$ref"):
            yield found
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def definition_key(reference: str) -> str:
    """The name under which `definitions` have what a reference means."""
    return reference.replace(_PREFIX, "")


def plain_definitions(fields: Any, definitions: Any) -> dict[str, Any]:
    """Those of the definitions that are needed by the fields, directly or not, and are no blocks.

    Raises BadRequest when one of them needs itself: clients cannot compute a checksum then.
    """
    found: dict[str, Any] = {}
    _collect(fields, definitions, found, frozenset())
    return found


def _collect(value: Any, definitions: Any, found: dict[str, Any], path: frozenset[str]) -> None:
    for reference in references(value):
        if not isinstance(reference, str):
            continue
        key = definition_key(reference)
        definition = _object(definitions, "definitions").get(key)
        if key in path:
            raise errors.BadRequest(f"The definition of {key!r} refers to itself.")
        if definition and _object(definition, key).get("block_type_slug") is None and key not in found:
            found[key] = definition
            _collect(definition, definitions, found, path | {key})


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise errors.BadRequest(f"The block schema's {name!r} must be an object.")
    return value


def _without_secret_fields(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without_secret_fields(item) for key, item in value.items() if key != "secret_fields"}


def checksum(fields: dict[str, Any]) -> str:
    """The checksum of a schema's fields; which of them are secret does not matter to it."""
    hashed = _without_secret_fields(fields)
    if hashed.get("definitions"):
        plain = plain_definitions(hashed, hashed["definitions"])
        if plain:
            hashed["definitions"] = plain
        else:
            del hashed["definitions"]
    text = json.dumps([[hashed], {}], sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


__all__ = ["checksum", "definition_key", "plain_definitions", "references"]
