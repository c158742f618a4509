"""Parameters, checked against a JSON schema. jsonschema is imported when first needed."""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any

from .hydration import Placeholder


class ParameterError(ValueError):
    """Values do not conform to their schema."""


class CircularReference(ValueError):
    """A schema refers to itself without end."""


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


def without_required(schema: Any) -> Any:
    """A schema that asks for nothing to be there."""
    if not isinstance(schema, dict):
        return schema
    return {key: without_required(value) for key, value in schema.items() if key != "required"}


def check(values: dict[str, Any], schema: dict[str, Any], *, partial: bool = False) -> None:
    """Check values against a parameter schema; with `partial`, others may still be missing.

    Raises ParameterError with the first problem, or CircularReference.
    """
    schema = _prepared(schema)
    validate(values, without_required(schema) if partial else schema)


def _prepared(schema: dict[str, Any]) -> dict[str, Any]:
    try:
        return prepared(schema)
    except (AttributeError, KeyError, TypeError):  # what is in it is no schema; said by who checks it
        return schema


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
        raise ParameterError(_failure(error)) from None
    except jsonschema.SchemaError as error:
        raise ParameterError(f"Invalid schema: {error.message}") from None


def _failure(error: Any) -> str:
    where = "" if error.json_path == "$" else f" for field {error.json_path.replace('$.', '')!r}"
    return f"Validation failed{where}. Failure reason: {error.message}"


PLACEHOLDERS = "_placeholders"
"""The keyword under which errors tell why there is no value."""


@lru_cache(1)
def _validator() -> Any:
    """The validator of 2020-12 schemas, which also tells what is wrong with placeholders."""
    import jsonschema
    from jsonschema import validators

    def missing(_validator: Any, _: Any, instance: Any, _schema: Any) -> Any:
        if isinstance(instance, Placeholder) and instance.problem is not None:
            yield jsonschema.ValidationError(instance.problem)

    base: Any = jsonschema.Draft202012Validator
    create: Any = validators.create
    return create(
        meta_schema=base.META_SCHEMA,
        validators={**base.VALIDATORS, PLACEHOLDERS: missing},
        version="prefect_kernel",
        type_checker=base.TYPE_CHECKER,
        format_checker=base.FORMAT_CHECKER,
        id_of=base.ID_OF,
        applicable_validators=lambda schema: {**schema, PLACEHOLDERS: None}.items(),
    )


def problems(values: dict[str, Any], schema: dict[str, Any]) -> list[Any]:
    """All jsonschema errors of values, formats and placeholders included.

    Raises CircularReference, and ParameterError for a schema that is none or refers to nothing.
    """
    import jsonschema
    import referencing
    import referencing.exceptions

    validator = _validator()
    try:
        with_formats = validator(schema, format_checker=validator.FORMAT_CHECKER, registry=referencing.Registry())
        return list(with_formats.iter_errors(values))
    except RecursionError:
        raise CircularReference("the schema refers to itself") from None
    except referencing.exceptions.Unresolvable as error:
        raise ParameterError(f"Validation failed. Failure reason: {error}") from None
    except (AttributeError, TypeError, jsonschema.exceptions.UnknownType) as error:
        raise ParameterError(f"Validation failed. Failure reason: {error}") from None


_NO_SCHEMA = "The provided schema is not a valid json schema. Schema error: "


def conforming(values: Any, schema: Any) -> None:
    """Check what a client wants to store: values that are there conform to the schema. Raises ValueError.

    The schema says by `$schema` which dialect of JSON Schema it is in, and is taken as it is.
    """
    if schema is None or values is None:
        return
    import jsonschema
    import referencing
    import referencing.exceptions

    try:
        jsonschema.validate(values, without_required(schema), registry=referencing.Registry())
    except referencing.exceptions.Unresolvable as error:
        raise ValueError(f"Validation failed. Failure reason: {error}") from None
    except jsonschema.ValidationError as error:
        raise ValueError(_failure(error)) from None
    except jsonschema.SchemaError as error:
        raise ValueError(_NO_SCHEMA + error.message) from None
    except RecursionError:
        raise ValueError("Validation failed. Failure reason: the schema refers to itself") from None
    except (AttributeError, TypeError) as error:
        raise ValueError(_NO_SCHEMA + str(error)) from None


def valid_schema(schema: Any) -> None:
    """Check that something is a 2020-12 schema. Raises ValueError."""
    if schema is None:
        return
    import jsonschema

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ValueError(_NO_SCHEMA + error.message) from None
