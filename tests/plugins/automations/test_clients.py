"""Prefect's own client: automations, triggers of deployments, events sent and followed, SLAs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.support.fixtures import ServerFactory
from tests.support.kernel import clean_environment

SCRIPT = Path(__file__).with_name("script_client.py")


def test_events_and_automations_of_the_client(
    server: ServerFactory, prepared_url: str, reference_python: Path, tmp_path: Path
) -> None:
    """Made by the client's classes, fired by its events, seen by its subscriber."""
    kernel = server(prepared_url)
    environment = clean_environment(tmp_path / "client", PREFECT_API_URL=kernel.api_url)
    done = subprocess.run(
        [str(reference_python), str(SCRIPT)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = ["prefect.automation.action.executed"] * 2 + ["prefect.automation.action.triggered"] * 2
    assert json.loads(done.stdout) == {
        "seen": ["acme.a", "acme.b", "acme.order", *told],
        "runs": [[{"name": "acme.shop"}, "on order"]],
        "kept": True,
        "left": ["off", "on order"],
        "slas": ["t", "f"],
    }
