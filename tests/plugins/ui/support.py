"""A built interface for tests: small files, with places for the base path as Prefect's have them."""

from __future__ import annotations

from pathlib import Path

PLACE = "/PREFECT_UI_SERVE_BASE_REPLACE_PLACEHOLDER"


def build(folder: Path, version: str) -> Path:
    """Write a built interface into a folder."""
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(f'<html><script src="{PLACE}/assets/index-abc.js"></script>{version}</html>')
    (folder / "assets" / "index-abc.js").write_text(f'const base = "{PLACE}/"; // {version}' + "x" * 2000)
    (folder / "assets" / "logo.png").write_bytes(b"\x89PNG" + PLACE.encode() + bytes(3000))
    (folder / "robots.txt").write_text("User-agent: *\n")
    return folder
