"""Wrapping what third parties bring, so that a mistake of theirs is one failed request, and never the server's end."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import re
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import (
    DatabaseNotReady,
    HttpError,
    KernelError,
    PluginError,
    SettingsError,
    StorageError,
    StorageUnavailable,
    Unavailable,
    told,
)
from ..web.dispatch import reply_to_error
from ..web.group import Endpoint
from ..web.reply import Reply
from ..web.request import Request
from ..web.websocket import Disconnected, WebSocket

if TYPE_CHECKING:
    from ..app import Kernel
    from ..plugins import Plugin

log = logging.getLogger("prefect_kernel.plugins")

_guarded: weakref.WeakSet[Any] = weakref.WeakSet()
"""Handlers that were wrapped already."""

Check = Callable[[Request, Endpoint], Awaitable[None]]


_NO_HEADER = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
_NO_VALUE = re.compile(rb"[\r\n\0]")
_FRAMING = b"transfer-encoding"


class Misbehaved(KernelError):
    """A plugin's code did what it must not do."""


# ---------------------------------------------------------------- requests
def handler(function: Any) -> Any:
    """An endpoint's handler whose answer is known to be one."""
    if function in _guarded:  # groups are module-level objects, and kernels may be many
        return function

    @functools.wraps(function)
    async def run(*arguments: Any) -> Reply:
        try:
            reply = await function(*arguments)
        except (SystemExit, asyncio.CancelledError) as error:  # which would end the event loop, or leave no answer
            if isinstance(error, asyncio.CancelledError) and _cancelled():
                raise
            raise Misbehaved(f"it raised {error!r}") from error
        return _sound(reply)

    _guarded.add(run)
    return run


def _sound(reply: Any) -> Reply:
    if not isinstance(reply, Reply):
        raise Misbehaved(f"it returned {reply!r}, and not a web.Reply")
    for what, kind in (("status", int), ("body", bytes), ("headers", list)):
        if not isinstance(getattr(reply, what), kind):
            raise Misbehaved(f"it returned a Reply whose {what} is {getattr(reply, what)!r}, and not {kind.__name__}")
    if not 200 <= reply.status <= 599:
        raise Misbehaved(f"it returned a Reply with the status {reply.status!r}")
    for header in reply.headers:
        if [type(part) for part in header] != [bytes, bytes]:
            raise Misbehaved(f"it returned a Reply with the header {header!r}, and not a pair of bytes")
        if _NO_HEADER.search(header[0]) or not header[0] or _NO_VALUE.search(header[1]):
            raise Misbehaved(f"it returned a Reply with the header {header!r}, which would end the header or be two")
        if header[0].lower() == _FRAMING:
            raise Misbehaved(f"it returned a Reply with the header {header!r}, which the server sets by itself")
    return reply


def fallback(function: Any) -> Any:
    """A fallback whose answer is a reply or nothing."""

    @functools.wraps(function)
    async def run(request: Request) -> Reply | None:
        try:
            reply = await function(request)
        except SystemExit as error:
            raise Misbehaved(f"it raised {error!r}") from error
        return None if reply is None else _sound(reply)

    return run


def websocket(function: Any) -> Any:
    """A WebSocket handler that cannot end the event loop."""
    if function in _guarded:
        return function

    @functools.wraps(function)
    async def run(socket: Any) -> None:
        try:
            await function(socket)
        except Disconnected:
            raise
        except SystemExit as error:
            raise Misbehaved(f"it raised {error!r}") from error

    _guarded.add(run)
    return run


def middleware(declared: Sequence[tuple[str, Any]], trusted: Collection[str], seconds: float) -> Check | None:
    """One check of all middleware, in order; None when there is none, so that nobody pays for it."""
    steps: list[Check] = [
        function if plugin in trusted else _guarded_check(plugin, function, seconds) for plugin, function in declared
    ]
    if not steps:
        return None
    if len(steps) == 1:
        return steps[0]

    async def check(request: Request, endpoint: Endpoint) -> None:
        for step in steps:
            await step(request, endpoint)

    return check


def _guarded_check(plugin: str, function: Any, seconds: float) -> Check:
    async def check(request: Request, endpoint: Endpoint) -> None:
        """Refuse the request also when the middleware cannot say what it thinks of it."""
        try:
            async with asyncio.timeout(seconds) as limit:
                answer = await function(request, endpoint)
        except HttpError:
            raise
        except TimeoutError as error:
            if limit.expired():
                log.error("middleware of plugin %s did not return within %g seconds", plugin, seconds)
                raise Unavailable from error
            raise Misbehaved(f"middleware of plugin {plugin} raised {error!r}") from error
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _cancelled():
                raise
            raise Misbehaved(f"middleware of plugin {plugin} raised {error!r}") from error
        if answer is not None:
            raise Misbehaved(f"middleware of plugin {plugin} returned {answer!r}, where it returns nothing")

    return check


async def quart_request(kernel: Kernel, scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve what the fast table does not know; blueprints are behind the same middleware as everybody."""
    authentication = kernel.dispatcher.authentication
    if (kernel.check_request is not None or authentication is not None) and kernel.blueprints:
        method, path = scope["method"], scope["path"]
        endpoint = Endpoint(method, path, _nowhere, permission="read" if method in ("GET", "HEAD") else "run")
        request = Request(kernel, scope, receive, {})
        try:
            if authentication is not None:
                await authentication(request, endpoint)
            if kernel.check_request is not None:
                await kernel.check_request(request, endpoint)
        except Exception as error:  # noqa: BLE001 - every error becomes an answer
            await kernel.dispatcher.send(reply_to_error(error, f"{method} {path}"), scope, send)
            return
    await kernel.quart(scope, receive, send)


async def quart_socket(kernel: Kernel, scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve a blueprint's WebSocket; where callers must say who they are, the headers of its opening do."""
    authentication = kernel.dispatcher.authentication
    if authentication is None:
        await kernel.quart(scope, receive, send)
        return
    opening = {**scope, "method": "GET"}
    socket = WebSocket(kernel, opening, receive, send, {})
    try:
        await authentication.opening(socket, Request(kernel, opening, receive, {}))
    except Exception as error:
        if not isinstance(error, HttpError):
            log.error("WebSocket %s: nobody can be authenticated", scope["path"], exc_info=error)
        await socket.refuse()
        return
    try:
        await kernel.quart(scope, receive, send)
    finally:
        authentication.open_sockets.remove(socket)


async def _nowhere(request: Request) -> Reply:
    raise Misbehaved("a blueprint's request has no endpoint in the table")


# ---------------------------------------------------------------- opening
def lifespan(plugin: Plugin, function: Any, kernel: Kernel) -> AbstractAsyncContextManager[Any]:
    """Enter a plugin's lifespan."""
    if plugin.trusted:
        entered: AbstractAsyncContextManager[Any] = function(kernel)
        return entered
    name = getattr(function, "__qualname__", repr(function))
    return opened(
        plugin, f"lifespan {name}", functools.partial(function, kernel), kernel.settings.kernel.plugin_timeout
    )


@asynccontextmanager
async def opened(plugin: Plugin, what: str, make: Callable[[], Any], seconds: float | None) -> AsyncIterator[Any]:
    """Open something of a plugin's; blame the plugin for what goes wrong, unless it is an error of the kernel's own.

    What a third party's one raises at its end is logged, and the others go on closing.
    """
    if plugin.trusted:
        async with make() as value:
            yield value
        return
    try:
        async with asyncio.timeout(seconds):
            context = make()
            if inspect.iscoroutine(context):
                context.close()
            if not hasattr(context, "__aenter__") or not hasattr(context, "__aexit__"):
                raise Misbehaved(f"it gave {context!r}, and not an async context manager")
            value = await context.__aenter__()
    except (StorageUnavailable, DatabaseNotReady, SettingsError):
        raise
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and _cancelled():
            raise
        said = f"it was not open within {seconds:g} seconds" if isinstance(error, TimeoutError) else told(error)
        raise PluginError(f"plugin {plugin.name}: {what} failed: {said}", plugin.name) from error
    try:
        yield value
    finally:
        try:
            async with asyncio.timeout(seconds):
                await context.__aexit__(None, None, None)
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            log.exception("%s of plugin %s failed to close", what, plugin.name)
            if isinstance(error, asyncio.CancelledError) and _cancelled():
                raise


def _cancelled() -> bool:
    """Whether this task is being cancelled from outside."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Have errors of a database that cannot be reached, or lets nobody in, say which one it is."""
    try:
        yield
    except DatabaseNotReady:
        raise
    except StorageError as error:
        raise StorageUnavailable(f"The database {url} cannot be used: {error.message}") from error


@contextmanager
def database_work(plugin: Plugin) -> Iterator[None]:
    """Blame a plugin for what its migrations do wrong."""
    try:
        yield
    except (DatabaseNotReady, StorageUnavailable) as error:
        if plugin.required or isinstance(error, StorageUnavailable):
            raise
        raise PluginError(f"plugin {plugin.name}: {told(error)}", plugin.name) from error
    except (StorageError, KeyError) as error:
        raise PluginError(f"plugin {plugin.name}: its migrations failed: {told(error)}", plugin.name) from error
