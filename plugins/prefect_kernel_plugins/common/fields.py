"""Input types with the reference's names, limits and error texts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    ValidationError,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from . import moments


class Input(BaseModel):
    """Base of request bodies: unknown keys are refused, as the reference does.

    What validates them is built with the first request that has one, and not for all of them at the start.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", ser_json_timedelta="float", defer_build=True)


class Lenient(BaseModel):
    """Base of nested objects whose unknown keys are ignored."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", ser_json_timedelta="float", defer_build=True)


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("NUL characters cannot be stored")
    return text


Storable = Annotated[str, AfterValidator(_storable)]
"""Text of the kernel's own tables: PostgreSQL cannot store NUL, so SQLite does not get to either."""


def _aware(value: Any, handler: Any) -> datetime:
    try:
        moment: datetime = handler(value)
    except ValidationError:
        if not isinstance(value, str):
            raise PydanticCustomError("value_error", "value is not a valid datetime") from None
        try:
            moment = moments.parse(value)
        except ValueError:
            raise ValueError(f"Unable to parse string [{value}]") from None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment


def _as_utc(value: Any, handler: Any) -> datetime:
    try:
        return _aware(value, handler).astimezone(UTC)
    except OverflowError:
        raise ValueError("date value out of range") from None


def _with_offset(value: Any, handler: Any) -> datetime:
    moment = _aware(value, handler)
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("date value out of range") from None
    return moment if moment.utcoffset() else utc


DateTime = Annotated[datetime, WrapValidator(_as_utc)]
"""A point in time, converted to UTC; without a zone it is taken as UTC."""

OffsetDateTime = Annotated[datetime, WrapValidator(_with_offset)]
"""A point in time that keeps the offset with which it was given; without a zone it is taken as UTC."""

BANNED = "/%&><"

Name = Annotated[str, Field(pattern=r"^[^/%&><]+$")]
"""A name that fits into a URL path."""

KeyValueLabels = Annotated[
    dict[str, StrictBool | StrictInt | StrictFloat | str],
    BeforeValidator(lambda v: {} if v is None else v),
]
"""Labels: text to text, number or truth value; null is an empty object."""

max_parameter_size = 524288
"""Bytes of serialised parameters; set at boot from PREFECT_SERVER_API_MAX_PARAMETER_SIZE, 0 for no limit."""


def _sized(parameters: dict[str, Any]) -> dict[str, Any]:
    if max_parameter_size > 0 and parameters:
        size = len(json.dumps(parameters, separators=(",", ":")).encode())
        if size > max_parameter_size:
            raise ValueError(
                f"Flow run parameters must be less than {max_parameter_size:,} bytes when serialized"
                f" (got {size:,} bytes)."
            )
    return parameters


SizedParameters = Annotated[dict[str, Any], AfterValidator(_sized)]
"""Parameters whose serialised size is bounded."""


def run_name(value: Any) -> Any:
    """The given name, or two random words."""
    if value:
        return value
    from coolname import generate_slug  # its word lists cost a few milliseconds of start time

    return generate_slug(2)


RunName = Annotated[str, BeforeValidator(run_name)]
"""A run's name; empty or null gives two random words."""

NewRunName = Annotated[str | None, BeforeValidator(run_name)]
"""As RunName, for a member that may be left out."""
