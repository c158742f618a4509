"""Inputs of flow runs: values under keys, sent to a run while it waits or works."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefect_kernel import errors, web
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Call, Statement, Unit, in_list, point_read
from prefect_kernel.sql.types import UUID
from prefect_kernel.wire import Field, Wire

from ..common.fields import Lenient
from .group import group
from .tables import flow_run_input

_COLUMNS = "id created updated flow_run_id key value sender".split()
_WIRE = Wire([Field(name, "time" if name in ("created", "updated") else "plain") for name in _COLUMNS])
_RUN = flow_run_input.c.flow_run_id == sa.bindparam("run_id", type_=UUID())
_KEY = flow_run_input.c.key == sa.bindparam("input_key")
_INSERT = Statement(
    sa.insert(flow_run_input).values({name: sa.bindparam(name, type_=flow_run_input.c[name].type) for name in _COLUMNS})
)
_READ = Statement(sa.select(flow_run_input.c.value).where(_RUN, _KEY))
_DELETE = Statement(sa.delete(flow_run_input).where(_RUN, _KEY))
_FILTER = Statement(
    sa.select(*(flow_run_input.c[name] for name in _COLUMNS))
    .where(
        _RUN,
        flow_run_input.c.key.like(sa.bindparam("pattern")),
        in_list(flow_run_input.c.key, "excluded", negate=True),
    )
    .order_by(flow_run_input.c.created)
    .limit(sa.bindparam("count", type_=sa.Integer())),
    raw=True,
)


_ALLOWED_KEY = re.compile("^[a-z0-9-]*$")  # as the reference has it: a line break at the end passes


class InputCreate(Lenient):
    """Body parameters of a new input."""

    key: str
    value: bytes
    sender: str | None = None


class InputFilter(Lenient):
    """Body parameters of a search by prefix."""

    prefix: str
    limit: int = 1
    exclude_keys: list[str] = []


def input_call(run_id: str, key: str, value: str, sender: str | None, now: datetime) -> Call:
    """The write that stores an input."""
    return _INSERT(id=uuid4(), created=now, updated=now, flow_run_id=run_id, key=key, value=value, sender=sender)


def insert(run_id: str, key: str, value: str, sender: str | None, now: datetime) -> Unit[None]:
    """Store an input. The driver raises UniqueViolation for a key in use, IntegrityViolation without such a run."""
    yield input_call(run_id, key, value, sender, now)


@point_read
def read_value(run_id: str, key: str) -> Unit[str | None]:
    """The value under a key, or None."""
    rows = yield _READ(run_id=run_id, input_key=key)
    return rows[0][0] if rows else None


def find(run_id: str, prefix: str, limit: int, excluded: list[str]) -> Unit[list[Any]]:
    """Raw rows of inputs whose key begins with `prefix`, oldest first."""
    rows: list[Any] = yield _FILTER(run_id=run_id, pattern=prefix + "%", count=limit, excluded=excluded)
    return rows


def remove(run_id: str, key: str) -> Unit[bool]:
    """Delete an input; False when there is none."""
    deleted = yield _DELETE(run_id=run_id, input_key=key)
    return bool(deleted)


@group.post("/{id:uuid}/input", permission="run", body=InputCreate, embed=True, status=201)
async def create_flow_run_input(request: web.Request, body: InputCreate) -> web.Reply:
    """Send a value to a run under a key of its own."""
    kernel = request.kernel
    if not _ALLOWED_KEY.match(body.key):
        raise errors.Unprocessable("The key must only contain lowercase letters, numbers, and dashes.")
    try:
        value = body.value.decode()
    except UnicodeDecodeError:
        raise errors.Unprocessable("The value is not valid UTF-8.") from None
    try:
        await kernel.storage.write(insert, request.path["id"], body.key, value, body.sender, kernel.clock.now())
    except errors.UniqueViolation:
        raise errors.Conflict("A flow run input with this key already exists.") from None
    except errors.IntegrityViolation:
        raise errors.NotFound("Flow run not found") from None
    return web.json(None, 201)


@group.post("/{id:uuid}/input/filter", permission="read", body=InputFilter, embed=True, response="FlowRunInput[]")
async def filter_flow_run_input(request: web.Request, body: InputFilter) -> web.Reply:
    """Inputs whose key begins with a prefix."""
    kernel = request.kernel
    rows = await kernel.storage.read(find, request.path["id"], body.prefix, body.limit, body.exclude_keys)
    return web.raw(_WIRE.many(kernel.storage.dialect, rows))


@group.get("/{id:uuid}/input/{key}", permission="read", media="text/plain", response={"type": "string"})
async def read_flow_run_input(request: web.Request) -> web.Reply:
    """The value under a key, as plain text."""
    value = await request.kernel.storage.read(read_value, request.path["id"], request.path["key"])
    if value is None:
        raise errors.NotFound("Flow run input not found")
    return web.text(value)


@group.delete("/{id:uuid}/input/{key}", permission="run", status=204)
async def delete_flow_run_input(request: web.Request) -> web.Reply:
    """Take an input away."""
    if not await request.kernel.storage.write(remove, request.path["id"], request.path["key"]):
        raise errors.NotFound("Flow run input not found")
    return web.no_content()
