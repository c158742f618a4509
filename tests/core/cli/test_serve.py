"""`prefect-kernel serve` as a process: what it prints, how it ends."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from prefect_kernel.builtin import DEFAULT, ESSENTIAL
from tests.support.fixtures import ServerFactory

PLUGIN = """
import os
from pathlib import Path
from prefect_kernel import Service, hookimpl, web

KERNEL_API = ">=1.0"
__version__ = "7.1"

group = web.Group("acme", prefix="/acme")

@group.get("/who")
async def who(request):
    return web.json({"services": [service.name for service in request.kernel.services()], "pid": os.getpid()})

class Quiet(Service):
    name = "acme-quiet"
    @classmethod
    def every(cls, settings): return 3600
    async def tick(self):
        with Path("ticks").open("a") as file:
            file.write(f"{os.getpid()}\\n")

@hookimpl
def kernel_routes(settings):
    return [group]

@hookimpl
def kernel_services(settings):
    return [Quiet]
"""


@pytest.fixture
def acme(tmp_path: Path) -> str:
    """A file with a plugin."""
    file = tmp_path / "acme.py"
    file.write_text(PLUGIN)
    return str(file)


def get(url: str) -> Any:
    """The JSON at a URL."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def test_start_and_stop(server: ServerFactory, database_url: str, acme: str) -> None:
    """The start says where the API is, which database it is on, without its password, and which plugins it has."""
    url = database_url.replace("postgres@", "postgres:hush@")
    kernel = server(url, "--no-autoload", "--plugins", acme, "--disable", "logs")
    lines = [line.split(None, 1) for line in kernel.log().splitlines()]
    assert lines[0] == ["API", kernel.api_url]
    assert lines[1][0] == "Database"
    assert lines[1][1] == database_url.replace("postgres@", "postgres:***@")
    assert lines[2] == ["Plugins", f"{len(ESSENTIAL + DEFAULT) - 1} built in, acme 7.1"]
    assert lines[3] == ["without", "logs: disabled"]
    assert "acme-quiet" in get(f"{kernel.api_url}/acme/who")["services"]
    assert kernel.stop() == 0
    assert "Traceback" not in kernel.log()


def test_every_line_is_json(server: ServerFactory, sqlite_url: str) -> None:
    """With JSON logs the start is told in them, too."""
    kernel = server(sqlite_url, env={"PREFECT_KERNEL_LOG_FORMAT": "json"})
    assert kernel.stop() == 0
    told = [json.loads(line) for line in kernel.log().splitlines()]
    assert [one["message"].split()[0] for one in told] == ["API", "Database", "Plugins"]
    assert {one["level"] for one in told} == {"INFO"}


def test_no_services(server: ServerFactory, sqlite_url: str, acme: str) -> None:
    """With --no-services only those run that requests depend on."""
    kernel = server(sqlite_url, "--no-autoload", "--plugins", acme, "--no-services")
    assert "acme-quiet" not in get(f"{kernel.api_url}/acme/who")["services"]


def test_environment_twins(server: ServerFactory, sqlite_url: str, acme: str) -> None:
    """Every option about plugins has a twin in the environment."""
    variables = {"PREFECT_KERNEL_PLUGINS": acme, "PREFECT_KERNEL_DISABLE": "logs", "PREFECT_KERNEL_NO_AUTOLOAD": "true"}
    kernel = server(sqlite_url, env=variables)
    plugins = {plugin["name"]: plugin["state"] for plugin in get(f"{kernel.api_url}/kernel/health")["plugins"]}
    assert (plugins["acme"], plugins["logs"]) == ("loaded", "disabled")


def test_workers(server: ServerFactory, postgres_url: str, acme: str, tmp_path: Path) -> None:
    """Several workers serve one port, one of them runs the services, and the start is told once."""
    kernel = server(postgres_url, "--no-autoload", "--plugins", acme, "--workers", "2")
    by_pid: dict[int, list[str]] = {}
    while len(by_pid) < 2:  # who accepts a connection is the operating system's choice
        answer = get(f"{kernel.api_url}/acme/who")
        by_pid[answer["pid"]] = answer["services"]
    assert sorted("acme-quiet" in services for services in by_pid.values()) == [False, True]
    assert kernel.stop() == 0
    (ticked,) = (tmp_path / "server-0" / "ticks").read_text().split()
    assert "acme-quiet" in by_pid[int(ticked)]
    assert kernel.log().count("API  ") == 1
