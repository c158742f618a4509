"""The files of one version of the interface."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import os
import posixpath
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

PLACEHOLDER = b"/PREFECT_UI_SERVE_BASE_REPLACE_PLACEHOLDER"
_HOLDS_BASE = (".txt", ".html", ".css", ".js", ".json")
_COMPRESSED_ALREADY = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".woff", ".woff2", ".gz", ".br")
# The system's own table of types differs from machine to machine.
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "text/plain",
    ".mjs": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "text/xml",
}
CACHE_BYTES = 8 * 1024 * 1024
"""What the cache of a version holds at most; all of the second version, compressed, is half as large."""


@dataclass(slots=True)
class File:
    """A file that may be served."""

    path: Path
    name: str
    modified: float
    tag: str = ""
    """Its validator, made from what is served; known once it was read."""

    @property
    def media_type(self) -> str:
        """As a Content-Type."""
        suffix = self.path.suffix.lower()
        kind = _TYPES.get(suffix) or mimetypes.guess_type(self.name)[0] or "text/plain"
        return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind

    @property
    def compressible(self) -> bool:
        """Whether compressing it saves anything."""
        return self.path.suffix.lower() not in _COMPRESSED_ALREADY

    @property
    def immutable(self) -> bool:
        """Whether its name changes with its content: what the build put into `assets` has a hash in its name."""
        return self.name.startswith("assets/")


class Files:
    """What is in a folder; nothing else can be asked for, whatever a path looks like."""

    def __init__(self, folder: Path, base: str) -> None:
        self.folder = folder
        self._base = b"" if base == "/" else base.encode()
        self._files: dict[str, File] | None = None
        self._cache: OrderedDict[tuple[str, bool], bytes] = OrderedDict()
        self._cached = 0

    def _index(self) -> dict[str, File]:
        root = os.path.realpath(self.folder)
        found = {}
        for directory, _, names in os.walk(root):
            for name in names:
                path = Path(directory, name)
                if not os.path.realpath(path).startswith(root + os.sep) or not path.is_file():
                    continue  # a link that leads out
                relative = path.relative_to(root).as_posix()
                found[relative] = File(path, relative, path.stat().st_mtime)
        return found

    async def find(self, path: str) -> File | None:
        """The file at a path below the base, or a folder's index.html."""
        if self._files is None:
            self._files = await asyncio.to_thread(self._index)
        name = posixpath.normpath("/".join(segment for segment in path.split("/") if segment))
        return self._files.get(name) or self._files.get("index.html" if name == "." else f"{name}/index.html")

    async def read(self, file: File, *, packed: bool) -> bytes:
        """What is served for a file, with the base path in its places; `packed` as a gzip stream."""
        key = (file.name, packed)
        body = self._cache.get(key)
        if body is not None:
            self._cache.move_to_end(key)
            return body
        body = await asyncio.to_thread(self._read, file, packed)
        if key not in self._cache and len(body) <= CACHE_BYTES // 4:
            self._cache[key] = body
            self._cached += len(body)
            while self._cached > CACHE_BYTES:
                self._cached -= len(self._cache.popitem(last=False)[1])
        return body

    def _read(self, file: File, packed: bool) -> bytes:
        body = file.path.read_bytes()
        if file.path.suffix.lower() in _HOLDS_BASE:
            body = body.replace(PLACEHOLDER, self._base)
        file.tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
        if not packed:
            return body
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        return packer.compress(body) + packer.flush()
