"""`GET /kernel/audit`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from prefect_kernel import web

from ..common.fields import DateTime
from . import queries

group = web.Group("Audit", prefix="/kernel")

_Text = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]


class AuditQuery(BaseModel):
    """Which changes."""

    actor: _Text | None = None
    operation: _Text | None = None
    object: _Text | None = None
    method: _Text | None = None
    since: DateTime | None = None
    until: DateTime | None = None
    before: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = Field(
        None, description="`next` of a page, for the page after it."
    )
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class Change(BaseModel):
    """A change, and who has made it."""

    seq: int
    at: datetime
    request_id: str
    actor: str
    way: str
    client: str | None
    permission: str
    operation: str
    method: str
    path: str
    object: str | None
    status: int | None


class Changes(BaseModel):
    """A page of changes, the latest first."""

    results: list[Change]
    next: int | None


@group.get("/audit", permission="admin", query=AuditQuery, response=Changes)
async def read_audit(request: web.Request) -> web.Reply:
    """Who has changed what, the latest first."""
    query: AuditQuery = request.query
    given = query.model_dump(exclude_none=True, exclude={"limit"})
    found = await request.kernel.storage.read(queries.page, query.limit, given)
    following = found[-1]["seq"] if len(found) == query.limit else None
    return web.json({"results": found, "next": following})
