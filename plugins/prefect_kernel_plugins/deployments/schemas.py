"""Bodies of the deployment routes."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from ..common.fields import Input, KeyValueLabels, SizedParameters
from ..common.parameters import conforming, valid_schema
from ..schedules.models import NormalizedSchedule

max_scheduled_runs = 50
"""The greatest `max_scheduled_runs`; set at boot from PREFECT_SERVER_DEPLOYMENT_SCHEDULE_MAX_SCHEDULED_RUNS."""


def _few(value: int | None) -> int | None:
    if value is not None and value > max_scheduled_runs:
        raise ValueError(f"`max_scheduled_runs` must be less than or equal to {max_scheduled_runs}.")
    return value


def _parameter_schema(value: Any) -> Any:
    return {"type": "object", "properties": {}} if value is None or value == {} else value


PositiveInteger = Annotated[int, Field(gt=0)]
MaxScheduledRuns = Annotated[PositiveInteger | None, AfterValidator(_few)]
ParameterSchema = Annotated[dict[str, Any], BeforeValidator(_parameter_schema)]
"""A JSON schema of parameters; an empty one allows any."""


class ConcurrencyLimitStrategy(str, Enum):
    """What becomes of a run for which there is no slot: it waits, or it is cancelled."""

    ENQUEUE = "ENQUEUE"
    CANCEL_NEW = "CANCEL_NEW"


class ConcurrencyOptions(BaseModel):
    """How a deployment's limit is kept; the grace period is in seconds."""

    collision_strategy: ConcurrencyLimitStrategy
    grace_period_seconds: Annotated[int, Field(ge=60, le=86400)] | None = None


class VersionInfo(BaseModel):
    """A description of a version; accepted, and not stored."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    type: str
    version: str


class DeploymentScheduleCreate(Input):
    """A schedule to be added to a deployment."""

    active: bool = True
    schedule: NormalizedSchedule
    max_scheduled_runs: MaxScheduledRuns = None
    parameters: dict[str, Any] = {}
    slug: str | None = None
    replaces: str | None = None


class DeploymentScheduleUpdate(Input):
    """What may be changed in a schedule; null changes nothing, but parameters are always set."""

    active: bool | None = None
    schedule: NormalizedSchedule | None = None
    max_scheduled_runs: MaxScheduledRuns = None
    parameters: dict[str, Any] = {}
    slug: str | None = None
    replaces: str | None = None


_OLD_FIELDS = ("worker_pool_queue_id", "worker_pool_name", "worker_pool_queue_name", "work_pool_queue_name")


def _object(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise PydanticCustomError(
            "model_attributes_type", "Input should be a valid dictionary or object to extract fields from"
        )
    return values


def _one_limit(values: dict[str, Any]) -> None:
    if values.get("concurrency_limit") and values.get("global_concurrency_limit_id"):
        raise ValueError("A deployment cannot have both a concurrency limit and a global concurrency limit.")


class DeploymentCreate(Input):
    """A deployment to be made, or to replace the one of that flow and name."""

    # Names that do not fit into a path are an internal error of Python Prefect.
    name: Annotated[str, Field(pattern=r"^[^/%&><]*$")]
    flow_id: UUID
    paused: bool = False
    schedules: list[DeploymentScheduleCreate] = []
    concurrency_limit: PositiveInteger | None = None
    concurrency_options: ConcurrencyOptions | None = None
    global_concurrency_limit_id: UUID | None = None
    enforce_parameter_schema: bool = True
    parameter_openapi_schema: ParameterSchema | None = {"type": "object", "properties": {}}
    parameters: SizedParameters = {}
    tags: list[str] = []
    labels: KeyValueLabels | None = {}
    pull_steps: list[dict[str, Any]] | None = None
    work_queue_name: str | None = None
    work_pool_name: str | None = None
    storage_document_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    description: str | None = None
    path: str | None = None
    version: str | None = None
    entrypoint: str | None = None
    job_variables: dict[str, Any] = {}
    version_info: VersionInfo | None = None

    @model_validator(mode="before")
    @classmethod
    def _consistent(cls, values: Any) -> Any:
        """Parameters that conform to their schema, one limit at most; fields of old clients are dropped."""
        values = _object(values)
        _one_limit(values)
        parameters, enforce = values.get("parameters", {}), values.get("enforce_parameter_schema")
        if enforce:
            conforming(parameters, values.get("parameter_openapi_schema"))
        values["parameters"] = parameters  # in place: the answer to a bad request shows it
        if enforce:
            valid_schema(values.get("parameter_openapi_schema"))
        return {key: value for key, value in values.items() if key not in _OLD_FIELDS}


class DeploymentUpdate(Input):
    """What may be changed in a deployment; only members that were given are."""

    version: str | None = None
    description: str | None = None
    paused: bool = False
    schedules: list[DeploymentScheduleUpdate] = []
    concurrency_limit: PositiveInteger | None = None
    concurrency_options: ConcurrencyOptions | None = None
    global_concurrency_limit_id: UUID | None = None
    parameters: SizedParameters | None = None
    parameter_openapi_schema: ParameterSchema | None = None
    tags: list[str] = []
    work_queue_name: str | None = None
    work_pool_name: str | None = None
    path: str | None = None
    job_variables: dict[str, Any] | None = None
    pull_steps: list[dict[str, Any]] | None = None
    entrypoint: str | None = None
    storage_document_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    enforce_parameter_schema: bool | None = None
    version_info: VersionInfo | None = None

    @model_validator(mode="before")
    @classmethod
    def _consistent(cls, values: Any) -> Any:
        """One limit at most; fields of old clients are dropped."""
        values = _object(values)
        _one_limit(values)
        return {key: value for key, value in values.items() if key not in _OLD_FIELDS}
