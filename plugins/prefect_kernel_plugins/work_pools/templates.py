"""The defaults of a base job template, checked against the schema of its variables.

What is required and has no default is no error here: deployments and runs may give it.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID as PyUUID  # noqa: N811 - UUID is the column type here

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID

from ..blocks.tables import block_document
from ..common.parameters import CircularReference, ParameterError, prepared, validate, without_required

_BLOCK = Statement(sa.select(block_document.c.id).where(block_document.c.id == sa.bindparam("id", type_=UUID())))


def check_template(template: dict[str, Any]) -> Unit[None]:
    """Raises Unprocessable for defaults that do not fit, NotFound for a block that is missing."""
    schema = template.get("variables") if template else None
    if not schema:
        return
    import jsonschema

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise errors.Unprocessable(f"Invalid schema: {error.message}") from None
    found = yield from _defaults(schema.get("properties", {}))
    try:
        validate(found, without_required(prepared(schema, nullable_defaults=True)))
    except (ParameterError, CircularReference) as error:
        raise errors.Unprocessable(f"Validation failed for work pool's job variable defaults: {error}") from None


def _defaults(properties: dict[str, Any]) -> Unit[dict[str, Any]]:
    found = {}
    for name, part in properties.items():
        if not isinstance(part, dict) or "default" not in part:
            continue
        value = part["default"]
        if not (isinstance(value, dict) and "$ref" in value):
            found[name] = value
            continue
        # What is in a block is encrypted, and not looked into.
        reference = value["$ref"]
        block = reference.get("block_document_id") if isinstance(reference, dict) else None
        if block is not None and not (yield from _exists(block)):
            raise errors.NotFound("Block not found.")
    return found


def _exists(block: Any) -> Unit[bool]:
    try:
        rows = yield _BLOCK(id=str(PyUUID(str(block))))
    except ValueError:
        return False
    return bool(rows)
