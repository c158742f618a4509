"""The Quart application behind the fast table: plugins' blueprints, documents, static files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quart import Quart, Response

from .reply import dumps

if TYPE_CHECKING:
    from ..app import Kernel


def make_quart(kernel: Kernel) -> Quart:
    """A Quart app with every blueprint; unknown paths are answered as the reference answers them."""
    app = Quart("prefect_kernel", static_folder=None)
    app.config["KERNEL"] = kernel
    app.config["MAX_CONTENT_LENGTH"] = kernel.settings.kernel.max_body_bytes
    for blueprint in kernel.blueprints:
        app.register_blueprint(blueprint)

    @app.errorhandler(404)
    async def not_found(_: Any) -> Response:
        return Response(dumps({"detail": "Not Found"}), 404, content_type="application/json")

    @app.errorhandler(405)
    async def wrong_method(_: Any) -> Response:
        return Response(dumps({"detail": "Method Not Allowed"}), 405, content_type="application/json")

    return app
