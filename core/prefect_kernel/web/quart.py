"""The Quart application behind the fast table: plugins' blueprints, documents, static files."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from quart import Quart, Response, request
from werkzeug.exceptions import HTTPException

from .._internal.claims import mounted_at
from .reply import dumps

if TYPE_CHECKING:
    from ..app import Kernel

log = logging.getLogger("prefect_kernel.web")


def make_quart(kernel: Kernel) -> Quart:
    """A Quart app with every blueprint; unknown paths are answered as the reference answers them."""
    app = Quart("prefect_kernel", static_folder=None)
    app.config["KERNEL"] = kernel
    app.config["MAX_CONTENT_LENGTH"] = kernel.settings.kernel.max_body_bytes
    owners = {}
    for plugin, blueprint in kernel.blueprints:
        owners[blueprint.name] = plugin
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
        if isinstance(error, HTTPException):
            return error
        plugin = owners.get((request.blueprint or "").split(".", 1)[0], "?")
        log.error("%s %s of plugin %s failed", request.method, request.path, plugin, exc_info=error)
        return answer(500, {"exception_message": "Internal Server Error"})

    return app
