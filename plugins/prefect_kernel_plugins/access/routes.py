"""Making, listing and taking away of keys and users, and who one is."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, SecretStr

from prefect_kernel import errors, web
from prefect_kernel.web.authentication import ROLES

from ..common.fields import DateTime, Input
from . import queries
from .keys import ApiKeys, digest_of, hint_of, new_token, until
from .users import Users

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

me = web.Group("Access", prefix="/kernel")
keys = web.Group("API keys", prefix="/kernel/keys")
users = web.Group("Users", prefix="/kernel/users")

NAME = r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$"
Name = Annotated[str, Field(pattern=NAME, max_length=200)]
Scope = Literal["read", "run", "edit", "admin"]
Role = Literal["viewer", "runner", "editor", "admin"]
Password = Annotated[SecretStr, Field(min_length=8, max_length=1024)]
W = TypeVar("W")


class Page(BaseModel):
    """Which part of a list."""

    limit: Annotated[int, Field(ge=0, le=200)] = 200
    offset: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class KeyCreate(Input):
    """A key to be made."""

    name: Name
    scope: Scope = "run"
    expires: DateTime | None = None


class UserCreate(Input):
    """A user to be made."""

    name: Name
    password: Password
    role: Role = "viewer"


class UserChange(Input):
    """What may be changed in a user; only members that are given are."""

    password: Password | None = None
    role: Role | None = None
    enabled: bool | None = None


class _Shown(BaseModel):
    id: str
    created: datetime
    name: str


class KeyShown(_Shown):
    """A key, without the key itself."""

    hint: str
    scope: Scope
    expires: datetime | None
    created_by: str | None


class KeyMade(KeyShown):
    """A key, with the key itself: it is shown this once."""

    key: str


class UserShown(_Shown):
    """A user."""

    updated: datetime
    role: Role
    enabled: bool


class Me(BaseModel):
    """A caller."""

    name: str
    permission: Scope
    way: str


def _forget(kernel: Kernel, way: type[ApiKeys] | type[Users]) -> None:
    """Have this process believe nothing that it has read before, and look after its open sockets at once."""
    for _, one in kernel.plugins.collect("kernel_authenticators"):
        if isinstance(one, way):
            one.remembered.forget()
    if kernel.dispatcher.authentication is not None:
        kernel.dispatcher.authentication.open_sockets.hurry()


def _caller(request: web.Request) -> web.Caller:
    caller: web.Caller = request.state["caller"]
    return caller


@me.get("/me", permission="read", response=Me)
async def read_me(request: web.Request) -> web.Reply:
    """Who the caller is, and what they may do."""
    caller = _caller(request)
    return web.json({"name": caller.name, "permission": caller.permission, "way": caller.way})


@keys.post("/", permission="admin", body=KeyCreate, status=201, response=KeyMade)
async def create_key(request: web.Request, body: KeyCreate) -> web.Reply:
    """Make a key. The answer is the only place where it can ever be seen."""
    kernel, token = request.kernel, new_token()
    now = kernel.clock.now()
    try:
        expires = until(now, body.expires)
    except ValueError as error:
        raise errors.Unprocessable(str(error)) from None
    by = _caller(request).name
    try:
        row = await kernel.storage.write(
            queries.create_key, body.name, digest_of(token), hint_of(token), body.scope, expires, by, now
        )
    except errors.UniqueViolation:
        raise errors.Conflict(f"There is an API key named {body.name!r} already.") from None
    return web.json({**row, "key": token}, 201)


@keys.get("/", permission="admin", query=Page, response=list[KeyShown])
async def read_keys(request: web.Request) -> web.Reply:
    """The keys, by name."""
    return web.json(await request.kernel.storage.read(queries.keys, request.query.limit, request.query.offset))


@keys.delete("/{name}", permission="admin", status=204)
async def revoke_key(request: web.Request) -> web.Reply:
    """Take a key away: this process refuses it from now on, others within seconds."""
    if not await request.kernel.storage.write(queries.delete_key, request.path["name"]):
        raise errors.NotFound("There is no such API key.")
    _forget(request.kernel, ApiKeys)
    return web.no_content()


async def _hashed(password: SecretStr) -> str:
    import asyncio

    from .passwords import hashed

    return await asyncio.to_thread(hashed, password.get_secret_value())


@users.post("/", permission="admin", body=UserCreate, status=201, response=UserShown)
async def create_user(request: web.Request, body: UserCreate) -> web.Reply:
    """Make a user."""
    kernel = request.kernel
    kept = await _hashed(body.password)
    try:
        row = await kernel.storage.write(queries.create_user, body.name, kept, body.role, kernel.clock.now())
    except errors.UniqueViolation:
        raise errors.Conflict(f"There is a user named {body.name!r} already.") from None
    return web.json(row, 201)


@users.get("/", permission="admin", query=Page, response=list[UserShown])
async def read_users(request: web.Request) -> web.Reply:
    """The users, by name."""
    return web.json(await request.kernel.storage.read(queries.users, request.query.limit, request.query.offset))


@users.patch("/{name}", permission="admin", body=UserChange, response=UserShown)
async def change_user(request: web.Request, body: UserChange) -> web.Reply:
    """Change a user's password or role, or whether they are let in."""
    kernel = request.kernel
    changes: dict[str, Any] = body.model_dump(exclude_none=True, exclude={"password"})
    if body.password is not None:
        changes["password"] = await _hashed(body.password)
    row = await kernel.storage.write(queries.change_user, request.path["name"], changes, kernel.clock.now())
    if row is None:
        raise errors.NotFound("There is no such user.")
    _forget(kernel, Users)
    return web.json(row)


@users.delete("/{name}", permission="admin", status=204)
async def delete_user(request: web.Request) -> web.Reply:
    """Delete a user."""
    if not await request.kernel.storage.write(queries.delete_user, request.path["name"]):
        raise errors.NotFound("There is no such user.")
    _forget(request.kernel, Users)
    return web.no_content()


assert set(ROLES) == {"viewer", "runner", "editor", "admin"}
