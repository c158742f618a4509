"""Changing a deployment: only what is given is changed.

Schedules with slugs are told apart by them: those of known slugs are changed, others are made, and none is deleted.
Without slugs the given schedules replace all there were.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID

from ..common.hydration import HydrationError, hydrate, needed_variables
from ..common.parameters import CircularReference, ParameterError, check, prepared, problems, without_required
from . import schedule_rows
from .events import Facts, updated_calls
from .limits import need_limit, set_limit
from .queries import drop_scheduled, facts_of
from .schemas import DeploymentScheduleUpdate, DeploymentUpdate
from .tables import deployment
from .upsert import CIRCULAR, columns, pool_template, queue_of

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

NO_SCHEMA = (
    "Error updating deployment: Cannot update parameters because parameter schema enforcement is enabled and the"
    " deployment does not have a valid parameter schema."
)


@lru_cache(256)
def _update(names: tuple[str, ...]) -> Statement:
    values = {name: sa.bindparam(f"new_{name}", type_=deployment.c[name].type) for name in names}
    return Statement(
        sa.update(deployment).values(values).where(deployment.c.id == sa.bindparam("deployment_id", type_=UUID()))
    )


class _Slugs:
    """What becomes of given schedules where all of them, and all that there are, have slugs."""

    def __init__(self, given: list[DeploymentScheduleUpdate], known: dict[str | None, str]) -> None:
        """`known` are the ids of the schedules by slug. Raises Unprocessable."""
        self.changed: list[tuple[str, DeploymentScheduleUpdate]] = []
        self.made: list[DeploymentScheduleUpdate] = []
        self.renamed: list[str] = []
        replaced: set[str] = set()
        for one in given:
            if one.replaces:
                if one.replaces in replaced:
                    raise errors.Unprocessable(
                        f"Multiple schedules have 'replaces' targeting the same slug: {one.replaces}"
                    )
                replaced.add(one.replaces)
        for one in given:
            if one.slug and one.slug in known and one.slug not in replaced and one.replaces:
                raise errors.Unprocessable(
                    f"Cannot rename schedule from '{one.replaces}' to '{one.slug}': "
                    f"a schedule with slug '{one.slug}' already exists."
                )
        for one in given:
            target = one.replaces or one.slug
            if target in known:
                self.changed.append((known[target], one))
                if one.replaces:
                    self.renamed.append(known[target])
            elif one.schedule:
                self.made.append(one)
            else:
                raise errors.Unprocessable(
                    "Unable to create new deployment schedules without a schedule configuration."
                )

    def write(self, deployment_id: str, now: datetime) -> Unit[None]:
        """Change and make the schedules, each a little later than the one before it: so they are ordered."""
        for schedule_id in self.renamed:
            yield schedule_rows.forget_slug(schedule_id, now)
        for schedule_id, one in self.changed:
            yield schedule_rows.change(deployment_id, schedule_id, one, now)
            now += timedelta(microseconds=1)
        if self.made:
            yield schedule_rows.insert(schedule_rows.new_rows(deployment_id, self.made, now, bounded=False))


def _by_slugs(deployment_id: str, given: list[DeploymentScheduleUpdate]) -> Unit[_Slugs | None]:
    """The changes by slug; None when there are schedules without slugs, or none at all. Raises Unprocessable."""
    found = yield from schedule_rows.slugs(deployment_id)
    if not found or None in found.values():
        return None
    if any(one.slug is None for one in given):
        raise errors.Unprocessable(
            "Please provide a slug for each schedule in your request to ensure schedules are updated correctly."
        )
    return _Slugs(given, {slug: id for id, slug in found.items()})


def _check_job_variables(body: DeploymentUpdate) -> Unit[None]:
    """The job variables must suit the work pool that the body names. Raises Conflict or NotFound."""
    if not body.work_pool_name:
        return
    schema = ((yield from pool_template(body.work_pool_name)) or {}).get("variables")
    if schema is None or body.job_variables is None:
        return
    try:
        found = problems(body.job_variables, without_required(prepared(schema)))
    except (ParameterError, CircularReference) as error:
        raise errors.Conflict(f"Error creating deployment: ValidationError({str(error)!r})") from None
    if found:
        raise errors.Conflict(f"Error creating deployment: <ValidationError: {found[0].message!r}>")


def _checked_parameters(body: DeploymentUpdate, existing: Facts) -> Unit[Any]:
    """The parameters as they will be; they must conform to the schema if that is enforced."""
    parameters = existing["parameters"]
    if body.parameters is not None:
        try:
            parameters = hydrate(body.parameters, (yield from needed_variables(body.parameters)))
        except HydrationError as error:
            raise errors.BadRequest(f"Error hydrating deployment parameters: {error}") from None
    enforce = body.enforce_parameter_schema
    if enforce is None:
        enforce = existing["enforce_parameter_schema"]
    if enforce:
        schema = body.parameter_openapi_schema or existing["parameter_openapi_schema"]
        if not isinstance(schema, dict):
            raise errors.Conflict(NO_SCHEMA)
        try:
            check(parameters, schema, partial=True)
        except ParameterError as error:
            raise errors.Conflict(f"Error updating deployment: {error}") from None
        except CircularReference:
            raise errors.Unprocessable(CIRCULAR) from None
    return parameters


def update(kernel: Kernel, id: str, body: DeploymentUpdate, now: datetime) -> Unit[bool]:
    """Change a deployment; False when there is none. Raises HttpErrors."""
    existing = yield from facts_of(id)
    if existing is None:
        return False
    by_slugs = yield from _by_slugs(id, body.schedules)
    yield from _check_job_variables(body)
    parameters = yield from _checked_parameters(body, existing)
    yield from need_limit(body.global_concurrency_limit_id)

    values = columns(body)
    if body.parameters is not None:
        values["parameters"] = parameters
    if body.work_pool_name is None and "work_pool_name" in body.model_fields_set:
        values["work_queue_id"] = None
    else:
        values.update((yield from queue_of(kernel, body.work_pool_name, body.work_queue_name, now)))
    values["updated"] = now
    params = {f"new_{name}": value for name, value in values.items()}
    yield _update(tuple(sorted(values))).bind({**params, "deployment_id": id})
    yield drop_scheduled(id, future_after=now)
    if by_slugs is None and "schedules" in body.model_fields_set:
        yield schedule_rows.delete_all(id)
        rows = schedule_rows.new_rows(id, [one for one in body.schedules if one.schedule], now, bounded=False)
        if rows:
            yield schedule_rows.insert(rows)
    if "concurrency_limit" in body.model_fields_set:
        yield from set_limit(id, body.concurrency_limit, now)
    after = yield from facts_of(id)
    if after is not None:
        if body.concurrency_limit is not None and existing["concurrency_limit_id"] is None:
            # As Prefect: that a deployment was given a limit of its own is no change; that it lost it is one.
            existing = {**existing, "concurrency_limit_id": after["concurrency_limit_id"]}
        for call in updated_calls(kernel, existing, after, now):
            yield call
    if by_slugs is not None:
        yield from by_slugs.write(id, now)
    return True
