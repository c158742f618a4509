"""Bodies of the task run routes."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import Field, field_validator

from ..common.fields import DateTime, Input, KeyValueLabels, Lenient, RunName, run_name
from ..common.policies import TaskRunPolicy
from ..states import StateCreate

max_cache_key_length = 2000
"""Set at boot from PREFECT_SERVER_TASKS_MAX_CACHE_KEY_LENGTH."""


class TaskRunResult(Lenient):
    """An input that is another task run's result."""

    input_type: Literal["task_run"] = "task_run"
    id: UUID


class FlowRunResult(Lenient):
    """An input that is a flow run's result."""

    input_type: Literal["flow_run"] = "flow_run"
    id: UUID


class Parameter(Lenient):
    """An input that is a parameter of the flow."""

    input_type: Literal["parameter"] = "parameter"
    name: str


class Constant(Lenient):
    """An input of some other kind."""

    input_type: Literal["constant"] = "constant"
    type: str


class TaskRunCreate(Input):
    """A task run to be created."""

    id: UUID | None = None
    state: StateCreate | None = None
    name: RunName = Field(default_factory=lambda: run_name(None))
    flow_run_id: UUID | None = None
    task_key: str
    dynamic_key: str
    cache_key: str | None = None
    cache_expiration: DateTime | None = None
    task_version: str | None = None
    empirical_policy: TaskRunPolicy = TaskRunPolicy()
    tags: list[str] = []
    labels: KeyValueLabels | None = {}
    task_inputs: dict[str, list[TaskRunResult | FlowRunResult | Parameter | Constant]] = {}

    @field_validator("cache_key")
    @classmethod
    def _bounded(cls, value: str | None) -> str | None:
        if value and len(value) > max_cache_key_length:
            raise ValueError(f"Cache key exceeded maximum allowed length of {max_cache_key_length} characters.")
        return value


class TaskRunUpdate(Input):
    """What may be changed in a task run."""

    name: RunName = Field(default_factory=lambda: run_name(None))


def inputs_to_json(inputs: dict[str, list[Any]]) -> dict[str, list[dict[str, Any]]]:
    """Task inputs as they are stored and answered."""
    return {
        name: [{k: str(v) if isinstance(v, UUID) else v for k, v in item.__dict__.items()} for item in items]
        for name, items in inputs.items()
    }
