"""What a start costs: nothing is imported that only some requests, or other choices, need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.kernel import clean_environment

HEAVY = {
    "aiosqlite",
    "alembic",
    "asyncpg",
    "coolname",
    "databases",
    "h2",
    "hypercorn",
    "jinja2",
    "jsonschema",
    "quart",
    "redis",
    "rich",
    "uvicorn",
    "werkzeug",
    "wsproto",
}

BOOT = """
import asyncio, json, sys
from prefect_kernel.app import Kernel
from prefect_kernel.cli import serve
from prefect_kernel.settings import load

async def main():
    kernel = Kernel(load())
    await kernel.open()
    served = kernel.server_runner(kernel.settings.kernel.server).name
    await kernel.close()
    print(json.dumps([served, sorted({name.partition(".")[0] for name in sys.modules})]))

asyncio.run(main())
"""


def test_start_imports_what_it_needs(tmp_path: Path) -> None:
    """A start on the defaults imports no other servers, databases or brokers, nor what pages are made with."""
    started = subprocess.run(
        [sys.executable, "-c", BOOT],
        env=clean_environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    server, modules = json.loads(started.stdout)
    assert server == "native"
    assert "sqlalchemy" in modules
    assert HEAVY.isdisjoint(modules)
