"""Job variables, checked against the variables that a work pool's base job template declares.

Of several layers (the template's defaults, the deployment's variables, the run's) the later ones win.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID as PyUUID  # noqa: N811 - UUID is the column type here

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID

from ..blocks.tables import block_document
from .parameters import prepared, problems, validate, without_required

_BLOCK = Statement(sa.select(block_document.c.id).where(block_document.c.id == sa.bindparam("id", type_=UUID())))


def check_job_variables(template: dict[str, Any], *layers: dict[str, Any] | None, partial: bool = False) -> Unit[None]:
    """Check layers of variables; a template without a schema allows everything. With `partial`, more layers follow.

    Raises ParameterError or CircularReference, Unprocessable for a schema that is none, NotFound for a missing block.
    """
    schema = template.get("variables") if template else None
    if not schema:
        return
    import jsonschema

    validator = jsonschema.Draft202012Validator
    try:
        validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise errors.Unprocessable(f"Invalid schema: {error.message}") from None
    values, complete = yield from _defaults(schema)
    for layer in layers:
        values.update(layer or {})
    schema = prepared(schema, nullable_defaults=True)
    validate(values, schema if complete and not partial else without_required(schema))


def _defaults(schema: dict[str, Any]) -> Unit[tuple[dict[str, Any], bool]]:
    """The defaults that fit the schema, and whether all do: without some, nothing can be said about what is missing."""
    found, complete = {}, True
    optional = without_required(schema)
    for name, part in schema.get("properties", {}).items():
        if not isinstance(part, dict) or "default" not in part:
            continue
        value = part["default"]
        reference = value.get("$ref") if isinstance(value, dict) else None
        if isinstance(reference, dict):
            block = reference.get("block_document_id")
            if block is not None:
                yield from _need_block(block)
                complete = False  # what is in the block is encrypted, and not looked into
            continue
        if problems({name: value}, optional):
            complete = False
        else:
            found[name] = value
    return found, complete


def _need_block(id: Any) -> Unit[None]:
    try:
        rows = yield _BLOCK(id=str(PyUUID(str(id))))
    except ValueError:
        rows = []
    if not rows:
        raise errors.NotFound("Block not found.")
