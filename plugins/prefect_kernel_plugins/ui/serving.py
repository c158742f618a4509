"""Which file, redirect or error a request for the interface gets."""

from __future__ import annotations

import zlib
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from prefect_kernel import web

from .bundles import VERSIONS, Bases, find
from .conditions import cookie, is_fresh, is_navigation, opens_a_page, part
from .files import File, Files

COOKIE = "prefect_ui_version"
"""The cookie in which a browser keeps which version its user prefers; the interface's own pages set it."""

_JSON = (b"content-type", b"application/json")
_VARY = (b"vary", b"Origin")
_VARY_SIZED = (b"vary", b"Accept-Encoding, Origin")
_PLAIN_IN_URLS = ":/%#?=@[]!$&'()*+,;"

Headers = list[tuple[bytes, bytes]]


def _below(path: str, base: str) -> str | None:
    """The path relative to a base, with a slash before it; None when it is not below."""
    if base == "/":
        return path
    if path == base:
        return "/"
    return path.removeprefix(base) if path.startswith(base + "/") else None


def _redirect(where: str, query: bytes) -> web.Reply:
    target = where + (f"?{query.decode('latin-1')}" if query else "")
    return web.Reply(307, b"", [(b"location", quote(target, safe=_PLAIN_IN_URLS).encode()), _VARY])


class Interface:
    """Answers for everything that is neither a route nor below the API's base path."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.bases = Bases.of(settings.server.ui.serve_base)
        self.settings_path = self.bases.v1.rstrip("/") + "/ui-settings"
        self._files: dict[str, Files] | None = None
        self._missing: str | None = None

    @property
    def files(self) -> dict[str, Files]:
        """The versions that there are; looked for again while there is none."""
        if not self._files:
            found = find(self.settings, self.bases)
            self._files = {version: Files(folder, self.bases[version]) for version, folder in found.items()}
        return self._files

    def default(self) -> str:
        """The version that browsers without a preference get."""
        wanted = "v2" if self.settings.server.ui.v2_enabled else "v1"
        available = [version for version in VERSIONS if version in self.files]
        return available[0] if available and wanted not in available else wanted

    async def described(self, request: web.Request) -> dict[str, Any]:
        """What the interface asks first: where the API is, and what it needs there."""
        server, authentication = self.settings.server, request.kernel.dispatcher.authentication
        asked = authentication is not None and authentication.interactive
        if asked and authentication is not None and await authentication.recognised(request):
            asked = False  # a proxy has asked already
        return {
            "api_url": server.ui.api_url,
            "csrf_enabled": server.api.csrf_protection_enabled,
            "auth": "BASIC" if asked else None,
            "flags": [],
            "default_ui": self.default(),
            "available_uis": [version for version in VERSIONS if version in self.files],
            "v1_base_url": self.bases.v1 if "v1" in self.files else None,
            "v2_base_url": self.bases.v2 if "v2" in self.files else None,
        }

    async def answer(self, request: web.Request) -> web.Reply | None:
        """Answer a request; None where there is nothing, for the server to say so."""
        path: str = request.scope["path"]
        if path.startswith(self.settings_path) and path.rstrip("/") == self.settings_path:
            return await self._answer_settings(request, path)
        sent_on = self._preferred(request, path)
        if sent_on is not None:
            return sent_on
        if not self.files:
            return self._without(request, path)
        for version in ("v2", "v1"):
            if version in self.files:
                relative = _below(path, self.bases[version])
                if relative is not None:
                    return await self._page(request, version, path, relative)
        return self._packed(request, 404, b'{"detail":"Not Found"}', [_JSON])

    # ------------------------------------------------------------ parts
    def _packed(self, request: web.Request, status: int, body: bytes, headers: Headers) -> web.Reply:
        """A reply made on the spot."""
        if "gzip" in (request.header("accept-encoding") or ""):
            packer = zlib.compressobj(6, zlib.DEFLATED, 31)
            body = packer.compress(body) + packer.flush()
            headers.append((b"content-encoding", b"gzip"))
        return web.Reply(status, body, [*headers, _VARY_SIZED])

    async def _answer_settings(self, request: web.Request, path: str) -> web.Reply:
        if path != self.settings_path:
            return _redirect(request.base_url + self.settings_path[1:], request.scope["query_string"])
        if request.scope["method"] != "GET":
            return self._refused(request, (b"allow", b"GET"))
        return self._packed(request, 200, web.dumps(await self.described(request)), [_JSON])

    def _refused(self, request: web.Request, *more: tuple[bytes, bytes]) -> web.Reply:
        return self._packed(request, 405, b'{"detail":"Method Not Allowed"}', [_JSON, *more])

    def _preferred(self, request: web.Request, path: str) -> web.Reply | None:
        """To the version that the browser prefers, from the entrances; links into a version stay in it."""
        if request.scope["method"] not in ("GET", "HEAD") or not self.files or path.endswith("/ui-settings"):
            return None
        header = request.header
        if not opens_a_page(header("accept") or "", header("sec-fetch-mode"), header("sec-fetch-dest")):
            return None
        relative = _below(path, self.bases.v2)
        requested = "v1" if relative is None else "v2"
        if relative is None:
            relative = _below(path, self.bases.v1)
            if relative != "/":
                return None
        elif "v2" in self.files:
            return None
        preferred = cookie(header("cookie"), COOKIE)
        if preferred not in self.files:
            preferred = self.default()
        if preferred is None or preferred == requested:
            return None
        # One slash: two would lead to another host.
        target = f"{self.bases[preferred].rstrip('/')}/{relative.lstrip('/')}"
        return _redirect(target, request.scope["query_string"])

    def _without(self, request: web.Request, path: str) -> web.Reply | None:
        """The root says how to get an interface, to people, and when one is wanted."""
        wanted = self.settings.server.ui.enabled and is_navigation(request.header("accept") or "")
        if not wanted or path != "/" or request.scope["method"] not in ("GET", "HEAD"):
            return self._packed(request, 404, b'{"detail":"Not Found"}', [_JSON])
        if self._missing is None:
            from importlib import resources

            self._missing = resources.files(__package__).joinpath("missing.html").read_text("utf-8")
        return self._packed(
            request,
            200,
            self._missing.encode(),
            [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store"), *self._safe()],
        )

    def _safe(self) -> Headers:
        """Headers that keep a browser from doing with pages what nobody wants."""
        headers = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin")]
        ancestors = self.settings.plugin["PREFECT_KERNEL_UI_FRAME_ANCESTORS"].strip()
        if ancestors:
            headers.append((b"content-security-policy", f"frame-ancestors {ancestors}".encode()))
        return headers

    async def _page(self, request: web.Request, version: str, path: str, relative: str) -> web.Reply:
        files = self.files[version]
        if "\0" in path or any(len(segment.encode("utf-8", "replace")) > 255 for segment in path.split("/")):
            return self._packed(request, 404, b'{"detail":"Not Found"}', [_JSON])
        file = await files.find(relative)
        if request.scope["method"] not in ("GET", "HEAD"):
            if file is not None:
                return self._refused(request)
            return self._packed(request, 404, b'{"detail":"Not Found"}', [_JSON])
        if file is not None:
            is_folder = file.path.name == "index.html" and not relative.rstrip("/").endswith("index.html")
            if is_folder and not path.endswith("/"):
                return _redirect(request.base_url + path.lstrip("/") + "/", request.scope["query_string"])
            return await self._serve(request, files, file)
        if is_navigation(request.header("accept") or ""):
            index = await files.find("index.html")
            if index is not None:
                return await self._serve(request, files, index)
        return self._packed(request, 404, b'{"detail":"Not Found"}', [_JSON])

    async def _serve(self, request: web.Request, files: Files, file: File) -> web.Reply:
        head = request.scope["method"] == "HEAD"
        asked = request.header("range")
        packed = (
            file.compressible and not head and asked is None and "gzip" in (request.header("accept-encoding") or "")
        )
        try:
            body = await files.read(file, packed=packed)
        except OSError:  # it was there when the server began
            return self._packed(request, 404, b'{"detail":"Not Found"}', [_JSON])
        kept = b"public, max-age=31536000, immutable" if file.immutable else b"no-cache"
        validators: Headers = [(b"etag", file.tag.encode()), (b"cache-control", kept)]
        modified = formatdate(file.modified, usegmt=True)
        if is_fresh(request.header("if-none-match"), request.header("if-modified-since"), file.tag, file.modified):
            return web.Reply(304, b"", [*validators, _VARY])
        headers: Headers = [
            (b"content-type", file.media_type.encode()),
            (b"accept-ranges", b"bytes"),
            (b"last-modified", modified.encode()),
            *validators,
            *self._safe(),
        ]
        if packed:
            headers.append((b"content-encoding", b"gzip"))
        if request.header("if-range") in (None, file.tag, modified):
            limits = part(asked, len(body))
            if limits is not None:
                return _partial(body, limits, headers)
        return web.Reply(200, body, [*headers, _VARY if head else _VARY_SIZED])


def _partial(body: bytes, limits: tuple[int, int], headers: Headers) -> web.Reply:
    start, end = limits
    if start == end:
        none = (b"content-range", f"bytes */{len(body)}".encode())
        return web.Reply(416, b"", [(b"content-type", b"text/plain; charset=utf-8"), none, _VARY])
    where = (b"content-range", f"bytes {start}-{end - 1}/{len(body)}".encode())
    return web.Reply(206, body[start:end], [*headers, where, _VARY])
