"""Freezes come and go: `/api/acme/freezes`."""

from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, Field, model_validator

from prefect_kernel import web
from prefect_kernel.errors import NotFound, Unprocessable
from prefect_kernel.ids import uuid7
from prefect_kernel.sql import Unit

from .tables import ADD, ALL, REMOVE

group = web.Group("acme freezes", prefix="/acme/freezes")


class FreezeCreate(BaseModel):
    """A freeze to be."""

    starts: AwareDatetime
    ends: AwareDatetime
    reason: str = Field(min_length=1, max_length=200)

    @model_validator(mode="after")
    def _in_order(self) -> "FreezeCreate":
        if self.ends <= self.starts:
            raise ValueError("A freeze must end after its start.")
        return self


def add(id: str, starts: datetime, ends: datetime, reason: str) -> Unit[None]:
    """Store a freeze."""
    yield ADD(id=id, starts=starts, ends=ends, reason=reason)


def everything() -> Unit[list[dict[str, object]]]:
    """All freezes, as clients see them."""
    rows = yield ALL()
    return [{"id": id, "starts": starts, "ends": ends, "reason": reason} for id, starts, ends, reason in rows]


def remove(id: str) -> Unit[int]:
    """Forget a freeze; the number of freezes forgotten."""
    count: int = yield REMOVE(id=id)
    return count


@group.post("/", body=FreezeCreate, status=201, permission="admin")
async def create_freeze(request: web.Request, body: FreezeCreate) -> web.Reply:
    """Declare a freeze."""
    days = request.kernel.settings.plugin["PREFECT_KERNEL_ACME_FREEZE_MAX_DAYS"]
    if body.ends - body.starts > timedelta(days=days):
        raise Unprocessable(f"A freeze lasts {days} days at most.")
    id = uuid7()
    await request.kernel.storage.write(add, id, body.starts, body.ends, body.reason)
    return web.json({"id": id, "starts": body.starts, "ends": body.ends, "reason": body.reason}, 201)


@group.get("/")
async def list_freezes(request: web.Request) -> web.Reply:
    """List the freezes, the earliest first."""
    return web.json(await request.kernel.storage.read(everything))


@group.delete("/{id:uuid}", status=204, permission="admin")
async def delete_freeze(request: web.Request) -> web.Reply:
    """End a freeze, or call it off."""
    if not await request.kernel.storage.write(remove, request.path["id"]):
        raise NotFound("There is no such freeze.")
    return web.no_content()
