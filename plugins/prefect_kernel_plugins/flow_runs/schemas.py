"""Bodies of the flow run routes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from ..common.fields import Input, KeyValueLabels, Lenient, NewRunName, RunName, SizedParameters, run_name
from ..common.policies import FlowRunPolicy
from ..states import StateCreate


class FlowRunCreate(Input):
    """A flow run to be created."""

    state: StateCreate | None = None
    name: RunName = Field(default_factory=lambda: run_name(None))
    flow_id: UUID
    flow_version: str | None = None
    parameters: SizedParameters = {}
    context: dict[str, Any] = {}
    parent_task_run_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    empirical_policy: FlowRunPolicy = FlowRunPolicy()
    tags: list[str] = []
    labels: KeyValueLabels | None = {}
    idempotency_key: str | None = None
    work_pool_name: str | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] | None = None
    deployment_id: UUID | None = None


class FlowRunUpdate(Input):
    """What may be changed in a flow run; only members that were given are."""

    name: NewRunName = None
    flow_version: str | None = None
    parameters: SizedParameters = {}
    empirical_policy: FlowRunPolicy = FlowRunPolicy()
    tags: list[str] = []
    infrastructure_pid: str | None = None
    job_variables: dict[str, Any] | None = None


class SetState(Lenient):
    """Body parameters of set_state."""

    state: StateCreate
    force: bool = False


class Resume(Lenient):
    """Body parameters of resume."""

    run_input: dict[str, Any] | None = None
