"""Bodies of the routes of global concurrency limits."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from ..common.fields import Input, Lenient, Name

Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(ge=0)]
Slots = Annotated[int, Field(gt=0)]
Names = list[str]
Mode = Literal["concurrency", "rate_limit"]
LeaseSeconds = Annotated[float, Field(ge=60, le=86400)]


class LimitCreate(Input):
    """A limit to be made; `slot_decay_per_second` makes a rate limit of it."""

    active: bool = True
    name: Name
    limit: Count
    active_slots: Count = 0
    denied_slots: Count = 0
    slot_decay_per_second: Rate = 0.0


class LimitUpdate(Input):
    """What may be changed in a limit; only members that were given are."""

    active: bool | None = None
    name: Name | None = None
    limit: Count | None = None
    active_slots: Count | None = None
    denied_slots: Count | None = None
    slot_decay_per_second: Rate | None = None


class Holder(Input):
    """Who holds slots."""

    type: Literal["flow_run", "task_run", "deployment"]
    id: UUID


class Increment(Lenient):
    """Body parameters of taking slots."""

    slots: Slots
    names: Names
    mode: Mode = "concurrency"
    create_if_missing: bool | None = None


class IncrementWithLease(Lenient):
    """Body parameters of taking slots for a time."""

    slots: Slots
    names: Names
    mode: Mode = "concurrency"
    lease_duration: LeaseSeconds = 300
    holder: Holder | None = None


class Decrement(Lenient):
    """Body parameters of giving slots back."""

    slots: Slots
    names: Names
    occupancy_seconds: Annotated[float, Field(gt=0)] | None = None
    create_if_missing: bool | None = None


class DecrementWithLease(Lenient):
    """Body parameters of giving back what a lease holds."""

    lease_id: UUID


class Renew(Lenient):
    """Body parameters of a renewal."""

    lease_duration: LeaseSeconds = 300
