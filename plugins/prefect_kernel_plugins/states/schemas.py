"""States as clients propose them."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from prefect_kernel.transition import STATE_TYPES, State

from ..common.fields import Input, Lenient, OffsetDateTime

StateType = Enum("StateType", {name: name for name in STATE_TYPES}, type=str)  # type: ignore[misc]


class StateDetails(Lenient):
    """What the server and the client tell each other about a state."""

    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None
    child_flow_run_id: UUID | None = None
    scheduled_time: OffsetDateTime | None = None
    cache_key: str | None = None
    cache_expiration: OffsetDateTime | None = None
    deferred: bool | None = False
    untrackable_result: bool = False
    pause_timeout: OffsetDateTime | None = None
    pause_reschedule: bool = False
    pause_key: str | None = None
    run_input_keyset: dict[str, str] | None = None
    refresh_cache: bool | None = None
    retriable: bool | None = None
    transition_id: UUID | None = None
    task_parameters_id: UUID | None = None
    traceparent: str | None = None
    deployment_concurrency_lease_id: UUID | None = None


class StateCreate(Input):
    """A proposed state; its id and timestamp are the server's."""

    type: StateType
    name: str | None = None
    message: str | None = None
    data: Any | None = None
    state_details: StateDetails = StateDetails()


def details_of(model: StateDetails) -> dict[str, Any]:
    """The members that were given, with ids as text."""
    given = model.__dict__
    out = {}
    for key in model.model_fields_set:
        value = given[key]
        out[key] = str(value) if isinstance(value, UUID) else value
    return out


def to_state(body: StateCreate, now: datetime) -> State:
    """The proposed state as the server makes it: new id, timestamp `now`; SCHEDULED without a time means now."""
    state = State(
        body.type.value,
        name=body.name,
        message=body.message,
        data=body.data,
        details=details_of(body.state_details),
        timestamp=now,
    )
    if state.type == "SCHEDULED" and not state.details["scheduled_time"]:
        state.details["scheduled_time"] = now
    return state
