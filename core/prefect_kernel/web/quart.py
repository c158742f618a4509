"""The Quart application behind the fast table: plugins' blueprints."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from quart import Quart, Response, request, websocket
from werkzeug.exceptions import HTTPException

from .._internal.claims import mounted_at
from .reply import dumps

if TYPE_CHECKING:
    from ..app import Kernel

log = logging.getLogger("prefect_kernel.web")


class PluginQuart(Quart):
    """Quart, whose event loop no view can end, and which knows the plugins behind its blueprints."""

    def __init__(self) -> None:
        super().__init__("prefect_kernel", static_folder=None)
        self.owners: dict[str, str] = {}
        """Blueprint -> plugin."""

    def log_exception(self, exception_info: Any) -> None:
        """Say nothing: `failed` does, and names the plugin."""

    def failed(self, asked: Any, error: BaseException) -> None:
        """Log that a view failed."""
        plugin = self.owners.get((asked.blueprint or "").split(".", 1)[0], "?")
        log.error("%s %s of plugin %s failed", asked.method, asked.path, plugin, exc_info=error)

    async def preprocess_request(self, *arguments: Any) -> Any:
        """Run what comes before views."""
        try:
            return await super().preprocess_request(*arguments)
        except SystemExit as error:
            raise RuntimeError(f"it raised {error!r}") from error

    async def dispatch_request(self, *arguments: Any) -> Any:
        """Run a view."""
        try:
            return await super().dispatch_request(*arguments)
        except SystemExit as error:
            raise RuntimeError(f"it raised {error!r}") from error

    async def dispatch_websocket(self, *arguments: Any) -> Any:
        """Run a WebSocket's view; where it fails, tell the client so."""
        try:
            return await super().dispatch_websocket(*arguments)
        except HTTPException:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the socket is closed
            self.failed(websocket, error)
            await websocket.close(1011, "Internal Server Error")
            return None


def make_quart(kernel: Kernel) -> PluginQuart:
    """A Quart app with every blueprint; unknown paths are answered as the reference answers them."""
    app = PluginQuart()
    app.config["KERNEL"] = kernel
    app.config["MAX_CONTENT_LENGTH"] = kernel.settings.kernel.max_body_bytes
    for plugin, blueprint in kernel.blueprints:
        app.owners[blueprint.name] = plugin
        app.register_blueprint(blueprint, url_prefix=mounted_at(blueprint, kernel.api))

    def answer(status: int, body: Any) -> Response:
        return Response(dumps(body), status, content_type="application/json")

    @app.errorhandler(404)
    async def not_found(_: Any) -> Response:
        return answer(404, {"detail": "Not Found"})

    @app.errorhandler(405)
    async def wrong_method(_: Any) -> Response:
        return answer(405, {"detail": "Method Not Allowed"})

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> Any:
        cause = getattr(error, "original_exception", None) if isinstance(error, HTTPException) else error
        if cause is None:
            return error
        app.failed(request, cause)
        return answer(500, {"exception_message": "Internal Server Error"})

    return app
