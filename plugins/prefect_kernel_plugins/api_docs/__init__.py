"""The API's own documents: openapi.json, and a page that shows it.

The page is ours and needs nothing from the network, unlike the reference's, which loads its viewer from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from typing import Any

from prefect_kernel import hookimpl, web

PREFECT_API_VERSION = "0.8.4"

outer = web.Group("Documents", root=True)
inner = web.Group("Documents")
_encoded: dict[int, bytes] = {}


async def openapi_document(request: web.Request) -> web.Reply:
    """The OpenAPI document of this server, made when it is first asked for."""
    from prefect_kernel.web.openapi import document

    kernel = request.kernel
    encoded = _encoded.get(id(kernel))
    if encoded is None:
        encoded = web.dumps(document(kernel, PREFECT_API_VERSION))
        _encoded.clear()  # one kernel per process, but for tests
        _encoded[id(kernel)] = encoded
    return web.raw(encoded)


async def documentation_page(request: web.Request) -> web.Reply:
    """A page that lists every operation with its input and answers."""
    page = resources.files(__package__).joinpath("docs.html").read_text("utf-8")
    return web.text(page, media_type="text/html; charset=utf-8")


for _group in (outer, inner):
    for _method in ("GET", "HEAD"):  # links are checked with HEAD; the reference answers it here, and only here
        # As in the reference, what is not below the API's path is there for those who have no credentials, too.
        _open = _group is outer
        _group.route(_method, "/openapi.json", permission="read", versioned=False, open_=_open)(openapi_document)
        for _path in ("/docs", "/redoc"):
            _group.route(_method, _path, permission="read", media="text/html", versioned=False, open_=_open)(
                documentation_page
            )


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    return [outer, inner]
