"""Making many runs of a deployment: what is wrong with one of them is told of that one, and the others are made."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from prefect_kernel import errors
from prefect_kernel.sql import Unit

from ..common.hydration import HydrationError
from ..common.parameters import CircularReference, ParameterError, check
from .create import Deployment, check_variables, enforced, insert, load, parameters_of, queue_of
from .schemas import DeploymentFlowRunCreate

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

LIMIT = 100


class _Refused(Exception):
    """Why a run is not made."""


def _checked(of: Deployment, body: DeploymentFlowRunCreate) -> Unit[Any]:
    """The parameters of a run. Raises _Refused."""
    try:
        parameters = yield from parameters_of(of, body)
    except HydrationError as error:
        raise _Refused(str(error)) from None
    if enforced(of, body):
        schema = of["parameter_openapi_schema"]
        if not isinstance(schema, dict):
            raise _Refused("Parameter schema enforcement is enabled but deployment has no valid schema.")
        try:
            check(parameters, schema)
        except ParameterError as error:
            raise _Refused(f"Parameter validation failed: {error}") from None
        except CircularReference:
            raise _Refused("Invalid schema: circular references detected.") from None
    try:
        yield from check_variables(of, body)
    except errors.HttpError as error:
        raise _Refused(str(error.detail)) from None
    if body.work_queue_name and of.pool is None:
        raise _Refused(
            f"Cannot create flow run in work queue {body.work_queue_name} because deployment is not associated with a"
            " work pool."
        )
    return parameters


def create_many(
    kernel: Kernel,
    deployment_id: str,
    bodies: list[DeploymentFlowRunCreate],
    now: datetime,
    created_by: dict[str, Any] | None,
) -> Unit[list[dict[str, Any]]]:
    """Make runs of a deployment, in order; what became of each. Raises NotFound."""
    of = yield from load(deployment_id)
    if of is None:
        raise errors.NotFound("Deployment not found")
    results: list[dict[str, Any]] = []
    for body in bodies:
        try:
            parameters = yield from _checked(of, body)
            queue = yield from queue_of(kernel, of, body.work_queue_name, now)
            id, _, _ = yield from insert(kernel, of, body, parameters, queue, now, created_by, last=False)
        except (_Refused, errors.IntegrityViolation) as error:
            results.append({"flow_run_id": None, "status": "FAILED", "error": str(error)})
        else:
            results.append({"flow_run_id": id, "status": "CREATED", "error": None})
    return results
