"""Retry policies that clients attach to runs (`empirical_policy`)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator, model_validator

from .fields import Lenient


def with_old_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Old clients send max_retries and retry_delay_seconds, and old rows hold them; rules read retries, retry_delay."""
    values = dict(values)
    if not values.get("retries") and values.get("max_retries", 0) != 0:
        values["retries"] = values["max_retries"]
    if not values.get("retry_delay") and values.get("retry_delay_seconds", 0) != 0:
        values["retry_delay"] = values["retry_delay_seconds"]
    return values


class _RunPolicy(Lenient):
    max_retries: int = 0
    retry_delay_seconds: float = 0.0
    retries: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_deprecated(cls, values: Any) -> Any:
        if isinstance(values, dict):
            values |= with_old_keys(values)  # in place: an error shows the body with what was filled in
        return values


class FlowRunPolicy(_RunPolicy):
    """How a flow run retries, and which pauses it has seen. Delays in seconds."""

    retry_delay: int | None = None
    pause_keys: set[str] | None = set()
    resuming: bool | None = False
    retry_type: Literal["in_process", "reschedule"] | None = None


class TaskRunPolicy(_RunPolicy):
    """How a task run retries. Delays in seconds."""

    retry_delay: int | float | list[int] | list[float] | None = None
    retry_jitter_factor: float | None = None

    @field_validator("retry_delay")
    @classmethod
    def _bounded(cls, value: Any) -> Any:
        if isinstance(value, list) and len(value) > 50:
            raise ValueError("Can not configure more than 50 retry delays per task.")
        return value

    @field_validator("retry_jitter_factor")
    @classmethod
    def _not_negative(cls, value: float | None) -> float | None:
        if value is not None and value < 0:
            raise ValueError("`retry_jitter_factor` must be >= 0.")
        return value


def policy_to_json(policy: FlowRunPolicy | TaskRunPolicy) -> dict[str, Any]:
    """A policy for storing, with every key in the order of the wire."""
    return {k: sorted(v) if isinstance(v, set) else v for k, v in policy.__dict__.items()}
