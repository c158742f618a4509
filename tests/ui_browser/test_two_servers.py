"""Two server processes on one PostgreSQL, with Redis and without: automations made at one, events sent to the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fixtures import ServerFactory

from . import automating
from .browser import Walker, walker
from .conftest import SHOTS, Site
from .support import OWN_MISTAKES

pytestmark = [pytest.mark.reference, pytest.mark.timeout(900, func_only=True)]

MINUTE = 60.0


@pytest.fixture(params=["postgres", "redis"])
def pair(
    request: pytest.FixtureRequest, server: ServerFactory, postgres_url: str, interface: Path
) -> Iterator[tuple[Walker, Site]]:
    """A browser at the first server, and the API of the second, which has a deployment."""
    env = {"PREFECT_UI_STATIC_DIRECTORY": str(interface)}
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        env |= {"PREFECT_MESSAGING_BROKER": "prefect_redis.messaging", "PREFECT_REDIS_MESSAGING_URL": url}
    first, second = server(postgres_url, env=env), server(postgres_url, env=env)
    site = Site(second, {}, request.param)
    flow = site.post("/flows/", {"name": "hello"})["id"]
    site.ids["deployment_hello"] = site.post("/deployments/", {"name": "greeter", "flow_id": flow})["id"]
    failed = request.session.testsfailed
    with walker(first.url, SHOTS / f"two-{request.param}") as walk:
        walk.forgive(*OWN_MISTAKES)
        yield walk, site
        if request.session.testsfailed > failed:
            walk.shot(f"failed-{request.node.name}")
    site.api.close()
    assert not walk.complaints, "\n".join(walk.complaints)


def test_each_kind_fires_once(pair: tuple[Walker, Site], version: str) -> None:
    """A flow fails; nothing happens for a minute; two things happen: one process of the two acts, once."""
    walk, site = pair
    automating.react(walk, site, version)
    automating.join(walk, site, version)
    automating.miss(walk, site, version, MINUTE)
