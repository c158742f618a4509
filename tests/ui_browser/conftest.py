"""A kernel with Prefect's interface, filled by Prefect's client, a worker, and a browser."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.kernel import KernelServer, clean_environment
from tests.support.processes import Process
from tests.support.reference import run_client
from tests.support.services import Postgres

from .browser import Walker, walker

SEED = Path(__file__).with_name("seed_flows.py")
SHOTS = Path(os.environ.get("PREFECT_KERNEL_UI_SHOTS", "ui-shots"))
"""Where pictures of the pages go, below the working directory unless it says otherwise."""


class Site:
    """A running kernel with its interface, and the ids of what is in it."""

    def __init__(self, kernel: KernelServer, ids: dict[str, str], name: str) -> None:
        self.kernel = kernel
        self.ids = ids
        self.name = name
        self.api = httpx.Client(base_url=kernel.api_url, timeout=30)

    def post(self, path: str, body: Any = None) -> Any:
        """POST to the API; the answer."""
        reply = self.api.post(path, json={} if body is None else body)
        reply.raise_for_status()
        return reply.json()

    def post_nothing(self, path: str, body: Any) -> None:
        """POST to the API, which answers nothing."""
        self.api.post(path, json=body).raise_for_status()

    def get(self, path: str) -> Any:
        """GET from the API; the answer."""
        reply = self.api.get(path)
        reply.raise_for_status()
        return reply.json()


@pytest.fixture(scope="session")
def interface(tmp_path_factory: pytest.TempPathFactory, reference_python: Path) -> Path:
    """A folder with both versions of the interface, taken from Prefect's own package."""
    asked = "import prefect, pathlib; print(pathlib.Path(prefect.__file__).parent / 'server')"
    done = subprocess.run([reference_python, "-c", asked], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The name of the kind of database, and the URL of a new one that all walks share."""
    if request.param == "sqlite":
        yield "sqlite", f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('ui') / 'kernel.db'}"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    url = postgres.create_database()
    yield "postgresql", url
    postgres.drop_database(url)


@pytest.fixture(scope="session")
def site(
    database: tuple[str, str],
    interface: Path,
    reference_python: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A kernel that serves the interface and has what the seed puts into it, with a worker on `local-pool`."""
    name, url = database
    directory = tmp_path_factory.mktemp(f"ui-{name}")
    kernel = KernelServer(directory / "server", url, env={"PREFECT_UI_STATIC_DIRECTORY": str(interface)}).start()
    try:
        done = run_client(reference_python, SEED, kernel.api_url, directory / "client")
        made = Site(kernel, json.loads(done.stdout.strip().splitlines()[-1]), name)
        worker = Process(
            [reference_python, "-m", "prefect", "worker", "start", "--pool", "local-pool", "--name", "walker"],
            log=directory / "worker.log",
            env=clean_environment(
                directory / "worker", PREFECT_API_URL=kernel.api_url, PREFECT_WORKER_QUERY_SECONDS="1"
            ),
            cwd=directory,
        )
        try:
            worker.wait_until(lambda: bool(made.post("/work_pools/local-pool/workers/filter")))
            yield made
        finally:
            worker.kill()
            made.api.close()
    finally:
        kernel.stop()
    assert "Traceback" not in kernel.log()


@pytest.fixture(params=["v1", "v2"])
def version(request: pytest.FixtureRequest) -> str:
    """The version of the interface."""
    return str(request.param)


@pytest.fixture
def walk(site: Site, request: pytest.FixtureRequest) -> Iterator[Walker]:
    """A browser; at the end nothing may have failed. Of a test that fails there is a picture."""
    failed = request.session.testsfailed
    with walker(site.kernel.url, SHOTS / site.name) as made:
        yield made
        if request.session.testsfailed > failed:
            made.shot(f"failed-{request.node.name}")
    assert not made.complaints, "\n".join(made.complaints)
