"""The interface behind a login, and below other paths than the root."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from tests.support.fixtures import ServerFactory

from .browser import walker
from .conftest import SHOTS
from .support import OWN_MISTAKES

pytestmark = [pytest.mark.reference, pytest.mark.timeout(300, func_only=True)]


@pytest.fixture
def home(interface: Path) -> dict[str, str]:
    """Settings of a server with an interface."""
    return {"PREFECT_UI_STATIC_DIRECTORY": str(interface)}


def test_logging_in(server: ServerFactory, sqlite_url: str, home: dict[str, str], version: str) -> None:
    """A wrong password is refused, the right one opens the pages, and it is remembered."""
    kernel = server(sqlite_url, env={**home, "PREFECT_SERVER_API_AUTH_STRING": "admin:secret"})
    httpx.post(f"{kernel.api_url}/flows/", json={"name": "behind-a-door"}, auth=("admin", "secret")).raise_for_status()
    base = "/v2" if version == "v2" else ""
    with walker(kernel.url, SHOTS / "access", f"{version}-") as walk:
        walk.forgive(*OWN_MISTAKES, "answered 401")
        page = walk.go(f"{base}/dashboard")
        page.wait_for_url("**/login**")
        walk.shot("login")
        field = page.locator("input").first
        field.fill("admin:wrong")
        walk.click(page.get_by_role("button", name=re.compile("Log ?in", re.IGNORECASE)))
        assert "/login" in page.url
        field.fill("admin:secret")
        walk.click(page.get_by_role("button", name=re.compile("Log ?in", re.IGNORECASE)))
        page.wait_for_url(re.compile(r"/dashboard"))
        walk.complaints.clear()  # what was asked before the password was there
        walk.go(f"{base}/flows")
        page.get_by_text("behind-a-door").first.wait_for()
        walk.shot("logged-in")
        assert not walk.complaints, "\n".join(walk.complaints)


@pytest.mark.parametrize("api", ["/api", "/prefect/api"])
def test_other_paths(
    server: ServerFactory, sqlite_url: str, home: dict[str, str], version: str, free_port: int, api: str
) -> None:
    """The interface below PREFECT_UI_SERVE_BASE, the API below PREFECT_SERVER_API_BASE_PATH."""
    settings = {
        **home,
        "PREFECT_UI_SERVE_BASE": "/prefect",
        "PREFECT_SERVER_API_BASE_PATH": api,
        "PREFECT_UI_API_URL": f"http://127.0.0.1:{free_port}{api}",
    }
    kernel = server(sqlite_url, env=settings, port=free_port)
    httpx.post(f"{kernel.api_url}/flows/", json={"name": "below-a-path"}).raise_for_status()
    base = "/prefect/v2" if version == "v2" else "/prefect"
    with walker(kernel.url, SHOTS / "access", f"{version}{api.replace('/', '-')}-") as walk:
        walk.forgive(*OWN_MISTAKES)
        page = walk.go(f"{base}/flows")
        page.get_by_text("below-a-path").first.wait_for()
        walk.click(page.get_by_text("below-a-path").first)
        assert f"{base}/flows/flow/" in page.url
        walk.go(page.url.removeprefix(kernel.url))  # the address can be kept and opened again
        page.get_by_text("below-a-path").first.wait_for()
        walk.shot("flow")
        assert not walk.complaints, "\n".join(walk.complaints)


@pytest.mark.parametrize("what", ["a user", "a key"])
def test_logging_in_as_oneself(
    server: ServerFactory, sqlite_url: str, home: dict[str, str], version: str, what: str
) -> None:
    """People log in with their name and password, or with an API key."""
    admin = ("admin", "secret")
    kernel = server(
        sqlite_url,
        env={
            **home,
            "PREFECT_SERVER_API_AUTH_STRING": ":".join(admin),
            "PREFECT_KERNEL_API_KEYS": "true",
            "PREFECT_KERNEL_USERS": "true",
        },
    )
    httpx.post(f"{kernel.api_url}/flows/", json={"name": "behind-a-door"}, auth=admin).raise_for_status()
    if what == "a user":
        body = {"name": "ada", "password": "long enough", "role": "viewer"}
        httpx.post(f"{kernel.api_url}/kernel/users/", json=body, auth=admin, timeout=60).raise_for_status()
        secret = "ada:long enough"
    else:
        made = httpx.post(f"{kernel.api_url}/kernel/keys/", json={"name": "ada", "scope": "read"}, auth=admin)
        secret = made.json()["key"]
    base = "/v2" if version == "v2" else ""
    with walker(kernel.url, SHOTS / "access", f"{version}-{what.replace(' ', '-')}-") as walk:
        walk.forgive(*OWN_MISTAKES, "answered 401")
        page = walk.go(f"{base}/dashboard")
        page.wait_for_url("**/login**")
        page.locator("input").first.fill(secret)
        walk.click(page.get_by_role("button", name=re.compile("Log ?in", re.IGNORECASE)))
        page.wait_for_url(re.compile(r"/dashboard"))
        walk.complaints.clear()  # what was asked before the secret was there
        walk.go(f"{base}/flows")
        page.get_by_text("behind-a-door").first.wait_for()
        walk.shot("logged-in")
        assert not walk.complaints, "\n".join(walk.complaints)
