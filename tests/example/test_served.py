"""The example distribution, installed beside the kernel and named with `--plugins`."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.support.fixtures import ServerFactory
from tests.support.kernel import clean_environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "acme-freeze"

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("example")]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory into which pip has installed the example from its own sources."""
    directory = tmp_path_factory.mktemp("example")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(directory), str(EXAMPLE)]
    done = subprocess.run(install, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return directory


def test_its_rule_holds_runs_of_real_clients(server: ServerFactory, database_url: str, installed: Path) -> None:
    """With the plugin named, its routes answer and its rule makes a run wait; its table is made on both databases."""
    kernel = server(database_url, "--no-autoload", "--plugins", "acme_freeze", env={"PYTHONPATH": str(installed)})
    with httpx.Client(base_url=kernel.api_url) as client:
        flow = client.post("/flows/", json={"name": "frozen"}).json()
        run = client.post("/flow_runs/", json={"flow_id": flow["id"], "state": {"type": "PENDING"}}).json()
        now = datetime.now(UTC)
        freeze = {"starts": now.isoformat(), "ends": (now + timedelta(hours=1)).isoformat(), "reason": "quarter end"}
        made = client.post("/acme/freezes/", json=freeze)
        assert made.status_code == 201

        start = {"state": {"type": "RUNNING"}}
        held = client.post(f"/flow_runs/{run['id']}/set_state", json=start).json()
        assert (held["status"], held["details"]["reason"]) == ("WAIT", "A change freeze is on: quarter end")

        assert client.delete(f"/acme/freezes/{made.json()['id']}").status_code == 204
        assert client.post(f"/flow_runs/{run['id']}/set_state", json=start).json()["status"] == "ACCEPT"
    assert "acme_freeze" in kernel.log()


def test_the_lists_show_it_and_its_rule(installed: Path, tmp_path: Path) -> None:
    """`plugins` names the plugin, and `policies` shows its rule between the two that it was put between."""

    def command(*words: str) -> str:
        environment = clean_environment(tmp_path, PYTHONPATH=str(installed))
        run = [sys.executable, "-m", "prefect_kernel", *words, "--no-autoload", "--plugins", "acme_freeze"]
        return subprocess.run(run, env=environment, check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    [line] = [line for line in command("plugins").splitlines() if "acme_freeze" in line]
    assert "loaded" in line
    order = command("policies", "core-flow")
    places = [order.index(rule) for rule in ("WaitForScheduledTime", "acme.HoldDuringFreeze", "RetryFailedFlows")]
    assert places == sorted(places)


def test_without_it_nothing_is_held(server: ServerFactory, sqlite_url: str, installed: Path) -> None:
    """Installed but neither named nor autoloaded, the plugin does nothing."""
    kernel = server(sqlite_url, "--no-autoload", env={"PYTHONPATH": str(installed)})
    assert httpx.get(f"{kernel.api_url}/acme/freezes/").status_code == 404
