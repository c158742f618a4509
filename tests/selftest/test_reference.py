"""The living reference that answers are compared with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support import reference
from tests.support.reference import ReferenceServer

pytestmark = pytest.mark.timeout(900)  # may install Prefect, when the reference environment does not exist yet

HELLO = """
from prefect import flow, task

@task
def double(x: int) -> int:
    return 2 * x

@flow
def hello() -> int:
    return double(21)

print("answer", hello())
"""


def test_the_client_runs_a_flow_on_a_reference_server(
    reference_python: Path, reference_server: Callable[..., ReferenceServer], sqlite_url: str, tmp_path: Path
) -> None:
    """Prefect's server and client, both of the reference's version, run a flow with a task."""
    server = reference_server(sqlite_url)
    assert httpx.get(f"{server.api_url}/admin/version").json() == reference.REFERENCE_VERSION
    done = reference.run_client(reference_python, HELLO, server.api_url, tmp_path / "client")
    assert "answer 42" in done.stdout
    [run] = httpx.post(f"{server.api_url}/flow_runs/filter", json={}).json()
    assert run["state_type"] == "COMPLETED"


def test_a_client_that_fails_fails_its_test(reference_python: Path, tmp_path: Path) -> None:
    """`run_client` raises with the output of a script that does not succeed."""
    with pytest.raises(AssertionError, match="no such luck"):
        reference.run_client(reference_python, "raise SystemExit('no such luck')", "http://127.0.0.1:9/api", tmp_path)


def test_an_interpreter_of_another_version_is_refused(reference_python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter named in the environment must have the reference's version."""
    monkeypatch.setenv(reference.REFERENCE_VARIABLE, str(reference_python))
    assert reference.reference_python() == reference_python
    monkeypatch.setattr(reference, "REFERENCE_VERSION", "3.0.0")
    with pytest.raises(RuntimeError, match=r"has Prefect .*, and the tests need 3\.0\.0"):
        reference.reference_python("3.0.0")


def test_an_environment_that_cannot_be_made_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """When making the environment fails, the error shows the output and the way around."""
    with pytest.raises(RuntimeError, match=reference.REFERENCE_VARIABLE):
        reference._run(["python3", "-c", "raise SystemExit(3)"])
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert reference.cache_directory() == Path("/somewhere/prefect-kernel-tests")


def test_a_client_script_knows_nothing_of_the_callers_settings(
    reference_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings of the person who runs the tests do not reach clients and servers."""
    monkeypatch.setenv("PREFECT_API_KEY", "somebody's")
    script = "import os; print(sorted(k for k in os.environ if k.startswith('PREFECT_')))"
    done = reference.run_client(reference_python, script, "http://127.0.0.1:9/api", tmp_path)
    assert done.stdout.strip() == "['PREFECT_API_URL', 'PREFECT_HOME', 'PREFECT_SERVER_ANALYTICS_ENABLED']"
