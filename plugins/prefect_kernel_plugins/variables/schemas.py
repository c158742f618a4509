"""Bodies of the routes of variables."""

from __future__ import annotations

import re
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from ..common.fields import Input

MAX_NAME_LENGTH = 255
MAX_VALUE_LENGTH = 5000
"""Bytes of a value as JSON."""


def _name(value: str) -> str:
    if not re.match("^[a-z0-9-_]*$", value):
        raise ValueError("Variable name must only contain lowercase letters, numbers, and dashes or underscores.")
    return value


def _sized(value: Any) -> Any:
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise ValueError("Variable value must be serializable to JSON") from None
    if value is not None and len(text) > MAX_VALUE_LENGTH:
        raise ValueError(f"Variable value must be less than {MAX_VALUE_LENGTH} characters")
    return value


VariableName = Annotated[str, AfterValidator(_name), Field(max_length=MAX_NAME_LENGTH)]
VariableValue = Annotated[
    StrictStr | StrictInt | StrictBool | StrictFloat | dict[str, Any] | list[Any] | None, BeforeValidator(_sized)
]


class VariableCreate(Input):
    """A variable to be made."""

    name: VariableName
    value: VariableValue
    tags: list[str] = []


class VariableUpdate(Input):
    """What may be changed in a variable; only members that were given are."""

    name: VariableName | None = None
    value: VariableValue = None
    tags: list[str] | None = None
