"""Where built interfaces are found."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger("prefect_kernel.ui")

VERSIONS = ("v1", "v2")
FOLDERS = {"v1": "ui", "v2": "ui-v2"}
"""Version of the interface -> its folder in Prefect's package."""
COPIED = "UI_SERVE_BASE"
"""A file that Prefect leaves in the copies that it serves from; it says for which base path one was made."""


@dataclass(frozen=True, slots=True)
class Bases:
    """The paths below which the versions are served, without a slash at the end; `/` is the root."""

    v1: str
    v2: str

    @classmethod
    def of(cls, configured: str) -> Bases:
        """From the setting: the second version is below the first, unless the setting names the second's path."""
        path = "/" + configured.strip("/") if configured.strip("/") else "/"
        if path == "/v2" or path.endswith("/v2"):
            return cls(path.removesuffix("/v2") or "/", path)
        return cls(path, path.rstrip("/") + "/v2")

    def __getitem__(self, version: str) -> str:
        return self.v2 if version == "v2" else self.v1


def installed_folder() -> Path | None:
    """The folder of the server in an installed `prefect`, which is looked for without importing it."""
    try:
        spec = importlib.util.find_spec("prefect")
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "server"


def _candidates(settings: Any, version: str) -> Iterator[Path]:
    static = settings.server.ui.static_directory
    if static:
        root = Path(static).expanduser()
        yield root / version
        yield root / FOLDERS[version]
        if version == "v1":
            yield root
    yield Path(settings.home) / "ui" / version
    installed = installed_folder()
    if installed is not None:
        yield installed / FOLDERS[version]


def find(settings: Any, bases: Bases) -> dict[str, Path]:
    """Version -> folder of each version that can be served; none when the settings want no interface."""
    found: dict[str, Path] = {}
    if not settings.server.ui.enabled:
        return found
    for version in VERSIONS:
        for folder in _candidates(settings, version):
            if (folder / "index.html").is_file() and _is_for(folder, bases[version]):
                found[version] = folder
                break
    return found


def _is_for(folder: Path, base: str) -> bool:
    """Whether it has its places for the base path still, or was made for this one."""
    try:
        made_for = (folder / COPIED).read_text("utf-8").strip()
    except OSError:
        return True
    if made_for.rsplit(":", 1)[-1] == base:
        return True
    log.info("The interface in %s was made for another base path (%s), and is left alone.", folder, made_for)
    return False
