"""Real flows, with the unchanged client of Prefect 3.8.8, on both databases."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.support.fixtures import ServerFactory
from tests.support.reference import run_client

FLOWS = Path(__file__).parent / "flows"

pytestmark = [pytest.mark.reference, pytest.mark.timeout(400)]


@pytest.mark.parametrize("script", ["features.py", "background.py", "runners.py", "serving.py"])
def test_flows_check_themselves(
    server: ServerFactory, reference_python: Path, database_url: str, tmp_path: Path, script: str
) -> None:
    """Flows with tasks, retries, caching, pauses, served deployments and more find everything as it should be."""
    kernel = server(database_url)
    done = run_client(reference_python, FLOWS / script, kernel.api_url, tmp_path / "client")
    assert "all is well" in done.stdout, done.stdout
    unfinished = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}}
    assert httpx.post(f"{kernel.api_url}/flow_runs/count", json=unfinished).json() == 0
    assert "Traceback" not in kernel.log()
