"""Bodies of the routes that make runs of deployments."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from ..common.fields import Input, KeyValueLabels, RunName, SizedParameters, run_name
from ..common.policies import FlowRunPolicy
from ..states import StateCreate


class DeploymentFlowRunCreate(Input):
    """A run of a deployment; what is left out comes from the deployment."""

    state: StateCreate | None = None
    name: RunName = Field(default_factory=lambda: run_name(None))
    parameters: SizedParameters = {}
    enforce_parameter_schema: bool | None = None
    context: dict[str, Any] = {}
    infrastructure_document_id: UUID | None = None
    empirical_policy: FlowRunPolicy = FlowRunPolicy()
    tags: list[str] = []
    idempotency_key: str | None = None
    labels: KeyValueLabels | None = None
    parent_task_run_id: UUID | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] | None = {}
