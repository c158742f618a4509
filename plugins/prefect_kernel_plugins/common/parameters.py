"""Parameters: `__prefect_kind` objects turned into values, and values checked against a JSON schema.

A UI sends a value it wants computed as an object with `__prefect_kind`: `none` (as it is), `json` (text to be parsed),
`jinja` (a template), `workspace_variable` (a variable's name). Jinja and jsonschema are imported when first needed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

KIND = "__prefect_kind"


class HydrationError(ValueError):
    """A `__prefect_kind` object cannot be turned into a value."""


class ParameterError(ValueError):
    """Values do not conform to their schema."""


class CircularReference(ValueError):
    """A schema refers to itself without end."""


_REMOVED = object()


def hydrate(value: Any, variables: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> Any:
    """`value` with every `__prefect_kind` object in it replaced by what it stands for.

    `variables` are the values of workspace variables by name, `context` what templates may refer to. Raises
    HydrationError.
    """
    result = _hydrate(value, variables, context or {})
    return {} if result is _REMOVED else result


def _hydrate(value: Any, variables: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        items = (_hydrate(item, variables, context) for item in value)
        return [item for item in items if item is not _REMOVED]
    if not isinstance(value, dict):
        return value
    if KIND not in value:
        members = ((key, _hydrate(item, variables, context)) for key, item in value.items())
        return {key: item for key, item in members if item is not _REMOVED}
    kind = value[KIND]
    if kind == "none":
        if "value" not in value:
            raise HydrationError("Missing 'value' key in __prefect object")
        return _hydrate(value["value"], variables, context)
    if kind == "json":
        return _from_json(value, variables, context)
    if kind == "jinja":
        return _from_template(value, variables, context)
    if kind == "workspace_variable":
        return _from_variable(value, variables, context)
    return value.get("value")


def _inner(value: Any, variables: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
    return _hydrate(value, variables, context) if isinstance(value, dict) else value


def _from_json(value: dict[str, Any], variables: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
    if "value" not in value:
        return _REMOVED
    text = _inner(value["value"], variables, context)
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise HydrationError(f"Invalid JSON: {error}") from None


def _from_template(value: dict[str, Any], variables: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
    if "template" not in value:
        raise HydrationError("Missing 'template' key in __prefect object")
    template = _inner(value["template"], variables, context)
    from jinja2 import ChainableUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=ChainableUndefined)
    try:
        return environment.from_string(str(template)).render(context)
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise HydrationError(f"Invalid jinja: {error}") from None


def _from_variable(value: dict[str, Any], variables: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
    if "variable_name" not in value:
        return _REMOVED
    name = _inner(value["variable_name"], variables, context)
    if name not in variables:
        raise HydrationError(f"Variable '{name}' not found in workspace.")
    return variables[name]


def uses_variables(value: Any) -> bool:
    """Whether hydrating needs workspace variables."""
    if isinstance(value, list):
        return any(map(uses_variables, value))
    if isinstance(value, dict):
        return value.get(KIND) == "workspace_variable" or any(map(uses_variables, value.values()))
    return False


_BLOCK_REFERENCE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "$ref": {
            "oneOf": [
                {"type": "string", "format": "uuid"},
                {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
            ]
        }
    },
    "required": ["$ref"],
}
"""What may stand for a block: its id, or its type and name."""


def _modern(group: dict[str, Any], *, nullable_defaults: bool) -> None:
    """Bring the properties of an object schema to JSON Schema 2020-12, in place.

    Old clients' schemas write optional values without null, and tuples as `items` lists.
    """
    required = group.get("required", [])
    for name, part in group["properties"].items():
        optional = name not in required and part.get("type", "null") != "null"
        if optional and ("default" not in part or nullable_defaults):
            part["anyOf"] = [{"type": part.pop("type")}, {"type": "null"}]
        if part.get("items") and isinstance(part["items"], list) and not part.get("prefixItems"):
            part["prefixItems"] = part.pop("items")
        if "properties" in part:
            _modern(part, nullable_defaults=nullable_defaults)


def prepared(schema: dict[str, Any], *, nullable_defaults: bool = False) -> dict[str, Any]:
    """A copy of a parameter schema that a 2020-12 validator understands; blocks may be given by reference.

    `nullable_defaults` lets null stand for values that have a default.
    """
    schema = copy.deepcopy(schema)
    if "properties" in schema:
        _modern(schema, nullable_defaults=nullable_defaults)
    for definition in list(schema.get("definitions", {}).values()):
        if "properties" in definition:
            _modern(definition, nullable_defaults=nullable_defaults)
        if "block_type_slug" in definition:
            schema["definitions"][definition["title"]] = {"oneOf": [definition, _BLOCK_REFERENCE]}
    return schema


def check(values: dict[str, Any], schema: dict[str, Any]) -> None:
    """Check values against a parameter schema. Raises ParameterError with the first problem, or CircularReference."""
    validate(values, prepared(schema))


def validate(values: dict[str, Any], schema: dict[str, Any]) -> None:
    """Check values against a 2020-12 schema. Raises as `check` does."""
    import jsonschema
    import referencing
    import referencing.exceptions

    try:
        jsonschema.validate(values, schema, jsonschema.Draft202012Validator, registry=referencing.Registry())
    except RecursionError:
        raise CircularReference("the schema refers to itself") from None
    except referencing.exceptions.Unresolvable as error:
        raise ParameterError(f"Validation failed. Failure reason: {error}") from None
    except jsonschema.ValidationError as error:
        where = "" if error.json_path == "$" else f" for field {error.json_path.replace('$.', '')!r}"
        raise ParameterError(f"Validation failed{where}. Failure reason: {error.message}") from None
