"""Bodies of the routes of concurrency limits by tag."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from ..common.fields import Input, Lenient
from ..common.paging import PageLimit


class TagLimitCreate(Input):
    """A limit for task runs with a tag; one that exists gets the new number."""

    tag: str
    concurrency_limit: int


class TagLimitList(Lenient):
    """Body parameters of a list of limits."""

    limit: PageLimit = None
    offset: Annotated[int, Field(ge=0)] = 0


class Reset(Lenient):
    """Body parameters of a reset: the task runs that hold slots from now on."""

    slot_override: list[UUID] | None = None


class SlotsOfTaskRun(Lenient):
    """Body parameters of taking slots and of giving them back."""

    names: list[str]
    task_run_id: UUID
