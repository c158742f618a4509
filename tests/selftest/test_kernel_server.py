"""The fixture that starts the real kernel as a process."""

from __future__ import annotations

import httpx
import pytest

from tests.support.fixtures import ServerFactory


def test_a_server_answers_and_ends_in_good_order(server: ServerFactory, database_url: str) -> None:
    """On both databases the kernel starts, answers, says where its API is, and obeys SIGTERM with exit code 0."""
    kernel = server(database_url)
    assert httpx.get(f"{kernel.api_url}/health").json() is True
    assert kernel.api_url in kernel.log()
    assert kernel.stop() == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{kernel.api_url}/health")


def test_a_killed_server_starts_again_on_its_database(server: ServerFactory, database_url: str) -> None:
    """What was acknowledged before SIGKILL is there after the next start, on the same port."""
    kernel = server(database_url)
    made = httpx.post(f"{kernel.api_url}/flows/", json={"name": "kept"})
    assert made.status_code == 201
    kernel.kill()
    kernel.restart()
    assert httpx.get(f"{kernel.api_url}/flows/{made.json()['id']}").json() == made.json()


def test_a_server_that_cannot_start_fails_its_test_with_its_output(server: ServerFactory, sqlite_url: str) -> None:
    """A server that ends before it answers is an error which shows what it printed."""
    with pytest.raises(RuntimeError, match="no-such-option"):
        server(sqlite_url, "--no-such-option")
