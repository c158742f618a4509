"""Writing changes down.

A request's row is written with its first transaction: what was committed has a row, and what was rolled back has none.
It says how the request would usually be answered, and is put right when the answer is another one, or is the first to
tell the id of what was made. A crash between these two leaves a row with the usual status and without that id. What a
request changes without a transaction of its own (leases that are kept elsewhere, say) is written down when that is
done; a crash in between loses that row.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import orjson

from prefect_kernel import errors, web
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Unit

from . import queries

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel
    from prefect_kernel.ports.storage import Storage

P = ParamSpec("P")
T = TypeVar("T")

LONGEST = 500
"""Characters that are kept of a path or a name."""
MOST_IDS = 50
"""Ids that are kept of things that one request has deleted or changed: an index of PostgreSQL holds 2,704 bytes."""


class Entry:
    """A request under way."""

    __slots__ = ("row", "seq", "taken")

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self.taken = False
        """A transaction has the row, or the request is over."""
        self.seq: int | None = None
        """The row's number, once it is committed."""


_current: ContextVar[Entry | None] = ContextVar("kernel_audit_entry", default=None)


class RecordingStorage:
    """A storage whose first write in a request carries the request's row."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    async def write(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Storage.write`."""
        entry = _current.get()
        if entry is None or entry.taken:
            return await self._storage.write(unit, *args, **kwargs)
        entry.taken = True
        try:
            result, entry.seq = await self._storage.write(queries.with_row, entry.row, unit, args, kwargs)
        except BaseException:
            entry.taken = False  # rolled back: what is tried next may carry the row
            raise
        return result


def recorder(what: str) -> Callable[[web.Endpoint], web.Handler | None]:
    """Wraps the handlers of endpoints that make changes of interest."""
    permissions = ("edit", "admin") if what == "edit" else ("run", "edit", "admin")

    def wrap(endpoint: web.Endpoint) -> web.Handler | None:
        if endpoint.permission not in permissions or endpoint.method == "GET":
            return None
        handler = endpoint.handler

        async def recorded(request: web.Request, *body: Any) -> web.Reply:
            entry = Entry(_row(request, endpoint))
            token = _current.set(entry)
            try:
                reply = await handler(request, *body)
            except Exception as error:
                if entry.seq is not None:
                    await _finish(request.kernel, entry, getattr(error, "status", 500), None)
                raise
            finally:
                _current.reset(token)
                entry.taken = True
            if entry.seq is not None or reply.status < 400:
                await _finish(request.kernel, entry, reply.status, reply.body)
            return reply

        return recorded

    return wrap


async def _finish(kernel: Kernel, entry: Entry, status: int, body: bytes | None) -> None:
    row = entry.row
    object = row["object"]
    if object is None and body is not None and status < 300:
        object = _id_in(body)
    if entry.seq is None:
        await kernel.storage.write(queries.add, {**row, "status": status, "object": object})
    elif (status, object) != (row["status"], row["object"]):
        try:
            await kernel.storage.write(queries.finish, entry.seq, status, object)
        except errors.StorageError:
            pass  # the change is committed and written down, and its answer must not become another


def _id_in(body: bytes) -> str | None:
    """What an answer says that was made, or which things were deleted or changed together."""
    try:
        made = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(made, dict):
        return None
    found = made.get("id") or made.get("name")
    if isinstance(found, str):
        return _kept(found)
    several = made.get("deleted") or made.get("results")
    if not isinstance(several, list):
        return None
    named = (one.get("flow_run_id") if isinstance(one, dict) else one for one in several)
    ids = [one for one in named if isinstance(one, str)]
    return ",".join(_kept(one) for one in ids[:MOST_IDS]) + (",…" if len(ids) > MOST_IDS else "") or None


def _row(request: web.Request, endpoint: web.Endpoint) -> dict[str, Any]:
    scope = request.scope
    caller: web.Caller | None = request.state.get("caller")
    client = scope.get("client")
    if caller is not None:
        actor, way = caller.name, caller.way
    elif client is None and scope.get("server") is None:  # the server's own call
        actor, way = request.header("prefect-automation-id") or "server", "automation"
    else:
        actor, way = "anonymous", ""
    return {
        "at": request.kernel.clock.now(),
        "request_id": uuid4(),
        "actor": _kept(actor),
        "way": way,
        "client": None if client is None else str(client[0]),
        "permission": endpoint.permission,
        "operation": endpoint.handler.__name__,
        "method": endpoint.method,
        "path": _kept(scope["path"]),
        "object": _kept("/".join(request.path.values())) if request.path else None,
        "status": endpoint.status[0],
    }


def _kept(text: str) -> str:
    """A text as it can be stored in any database."""
    return text.encode("utf-8", "replace").decode().replace("\0", "�")[:LONGEST]
