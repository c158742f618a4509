"""The route that checks values of a form."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from prefect_kernel import errors, web
from prefect_kernel.sql import Unit

from ..common.fields import Lenient
from ..common.hydration import hydrate, needed_variables
from ..common.parameters import CircularReference, ParameterError, prepared, problems
from .problems import as_tree

group = web.Group("UI Schemas", prefix="/ui/schemas")

_TREE = {
    "type": "object",
    "title": "SchemaValuesValidationResponse",
    "properties": {"errors": {"type": "array", "items": {}}, "valid": {"type": "boolean"}},
    "required": ["errors", "valid"],
}


class SchemaValues(Lenient):
    """Body parameters: a JSON schema, and values for it."""

    json_schema: dict[str, Any] = Field(alias="schema")
    values: dict[str, Any]


def _variables(values: dict[str, Any]) -> Unit[dict[str, Any]]:
    return (yield from needed_variables(values))


def _checked(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as a 2020-12 validator understands it. Raises Unprocessable."""
    import jsonschema

    try:
        schema = prepared(schema)
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise errors.Unprocessable(f"Invalid schema: {error.message}") from None
    except (AttributeError, KeyError, TypeError) as error:
        raise errors.Unprocessable(f"Invalid schema: {error}") from None
    return schema


@group.post("/validate", body=SchemaValues, embed=True, permission="read", response=_TREE)
async def validate_values(request: web.Request, body: SchemaValues) -> web.Reply:
    """What is wrong with values, member by member. `__prefect_kind` objects are hydrated, but for templates."""
    schema = _checked(body.json_schema)
    variables = await request.kernel.storage.read(_variables, body.values)
    values = hydrate(body.values, variables, lenient=True)
    try:
        return web.json(as_tree(problems(values, schema)))
    except CircularReference:
        raise errors.Unprocessable("Invalid schema: Unable to validate schema with circular references.") from None
    except ParameterError as error:
        raise errors.Unprocessable(f"Invalid schema: {error}") from None
