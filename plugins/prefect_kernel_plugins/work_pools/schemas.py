"""Bodies of the routes of work pools, their queues and workers."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from ..common.fields import DateTime, Input, Lenient, Name
from ..common.paging import PageLimit

Limit = Annotated[int, Field(ge=0)]
Priority = Annotated[int, Field(gt=0)]

_PLACEHOLDER = re.compile(r"{{\s*([\w\.\-\[\]$]+)\s*}}")


def _not_blank(value: str) -> str:
    if isinstance(value, str) and not value.strip("' \""):
        raise ValueError("name cannot be an empty string")
    return value


PoolName = Annotated[Name, BeforeValidator(_not_blank)]
"""A name that fits into a URL path, and is more than quotes and blanks."""


def _complete(template: dict[str, Any] | None) -> dict[str, Any] | None:
    """A base job template with both of its parts, and a declaration for each variable that the first of them uses."""
    if template == {}:
        return template
    configuration, variables = (template or {}).get("job_configuration"), (template or {}).get("variables")
    if not (isinstance(configuration, dict) and isinstance(variables, dict) and configuration and variables):
        raise ValueError("The `base_job_template` must contain both a `job_configuration` key and a `variables` key.")
    used = {name for part in configuration.values() for name in _PLACEHOLDER.findall(json.dumps(part))}
    declared = variables.get("properties", {})
    missing = used.difference(declared if isinstance(declared, dict) else {})
    if missing:
        raise ValueError(
            "The variables specified in the job configuration template must be present as properties in the variables"
            " schema. Your job configuration uses the following undeclared variable(s):"
            f" {' ,'.join(sorted(missing))}."
        )
    return template


class StorageConfiguration(BaseModel):
    """How flows and results get to where runs of a pool are executed."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    bundle_upload_step: dict[str, Any] | None = None
    bundle_execution_step: dict[str, Any] | None = None
    default_result_storage_block_id: UUID | None = None

    def stored(self) -> dict[str, Any]:
        """As it is kept."""
        return self.model_dump(mode="json")


class WorkPoolCreate(Input):
    """A pool to be made."""

    name: PoolName
    description: str | None = None
    type: str = "prefect-agent"
    base_job_template: dict[str, Any] = {}
    is_paused: bool = False
    concurrency_limit: Limit | None = None
    storage_configuration: StorageConfiguration = StorageConfiguration()

    _template = field_validator("base_job_template")(_complete)


class WorkPoolUpdate(Input):
    """What may be changed in a pool; only members that were given are."""

    description: str | None = None
    is_paused: bool | None = None
    base_job_template: dict[str, Any] | None = None
    concurrency_limit: Limit | None = None
    storage_configuration: StorageConfiguration | None = None

    _template = field_validator("base_job_template")(_complete)

    def changes(self) -> dict[str, Any]:
        """What was given, as it is kept, in the order of the members."""
        given = {name: value for name, value in self.__dict__.items() if name in self.model_fields_set}
        storage = given.get("storage_configuration")
        if storage is not None:
            given["storage_configuration"] = storage.stored()
        return given


class QueueFilter(Lenient):
    """Which runs an old queue takes: those with all of the tags, of one of the deployments."""

    tags: list[str] | None = None
    deployment_ids: list[UUID] | None = None


class WorkQueueCreate(Input):
    """A queue to be made; without a priority it takes the first that is free."""

    name: Name
    description: str | None = ""
    is_paused: bool = False
    concurrency_limit: Limit | None = None
    priority: Priority | None = None
    filter: QueueFilter | None = None

    def fields(self) -> dict[str, Any]:
        """The row's members."""
        return _kept({**self.__dict__, "description": self.description or ""})


class WorkQueueUpdate(Input):
    """What may be changed in a queue; only members that were given are."""

    name: str | None = None
    description: str | None = None
    is_paused: bool = False
    concurrency_limit: Limit | None = None
    priority: Priority | None = None
    last_polled: DateTime | None = None
    filter: QueueFilter | None = None

    def changes(self) -> dict[str, Any]:
        """What was given, as it is kept, in the order of the members."""
        return _kept({name: value for name, value in self.__dict__.items() if name in self.model_fields_set})


def _kept(values: dict[str, Any]) -> dict[str, Any]:
    if values.get("filter") is not None:
        values["filter"] = values["filter"].model_dump(mode="json")
    return values


class Heartbeat(Lenient):
    """Body parameters of a worker's sign of life."""

    name: str
    heartbeat_interval_seconds: int | None = None


class ScheduledRuns(Lenient):
    """Body parameters of a worker's poll."""

    limit: PageLimit = None
    work_queue_names: list[str] | None = None
    scheduled_before: DateTime | None = None
    scheduled_after: DateTime | None = None


class PoolStatus(Lenient):
    """Body parameters of the status of a pool's slots; `flow_run_limit` runs at most are shown per queue."""

    limit: PageLimit = None
    page: Annotated[int, Field(ge=1)] = 1
    flow_run_limit: Annotated[int, Field(ge=0, le=200)] = 10
