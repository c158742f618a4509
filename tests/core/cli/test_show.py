"""`prefect-kernel version`, `plugins`, `policies`, `routes` and `settings`."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_kernel import API_VERSION, __version__
from prefect_kernel.builtin import DEFAULT, ESSENTIAL

from .conftest import Run

ACME = """
from quart import Blueprint
from prefect_kernel import FlowRule, Insert, Remove, Replace, hookimpl, web
from prefect_kernel.settings import Setting

KERNEL_API = ">=1.0"
__version__ = "7.1"

group = web.Group("acme", prefix="/acme")
pages = Blueprint("acme_pages", __name__)

@group.get("/notes/{id:uuid}")
async def note(request): ...

@group.websocket("/stream")
async def stream(socket): ...

@pages.post("/pages/<name>")
async def page(name): ...

class Hold(FlowRule):
    name = "acme.Hold"
    async def before(self, move): ...

class Retry(FlowRule):
    name = "acme.Retry"

@hookimpl
def kernel_settings():
    return [Setting("PREFECT_KERNEL_ACME_KEY", str, "k", "Key.", secret=True), Setting("ACME_DAYS", int, 3, "Days.")]

@hookimpl
def kernel_routes(settings):
    return [group, pages]

@hookimpl
def kernel_policy_edits(settings):
    return [
        Insert(Hold, "core-flow", after="WaitForScheduledTime"),
        Replace("RetryFailedFlows", Retry, "core-flow"),
        Remove("PreventPendingTransitions", "core-flow"),
    ]
"""


@pytest.fixture
def acme(tmp_path: Path) -> str:
    """A file with a plugin."""
    file = tmp_path / "acme.py"
    file.write_text(ACME)
    return str(file)


def test_version(run: Run) -> None:
    """Versions of the kernel, of the plugin interface, and of the Prefect that it stands in for."""
    assert run("version").out.splitlines() == [
        f"prefect-kernel {__version__}",
        f"plugin interface {API_VERSION}",
        "Prefect 3.8.8 (API 0.8.4)",
    ]


def test_plugins(run: Run, acme: str) -> None:
    """Every plugin is listed in load order: name, version, state, and where it is from."""
    ran = run("plugins", "--no-autoload", "--plugins", acme, "--disable", "logs")
    names = [path.rsplit(".", 1)[-1] for path in ESSENTIAL + DEFAULT]
    assert [row[0] for row in ran.rows] == [*names, "acme"]
    states = {row[0]: row[1:] for row in ran.rows}
    assert states["flows"] == [__version__, "loaded", "built-in"]
    assert states["logs"][:2] == [__version__, "disabled"]
    assert states["acme"] == ["7.1", "loaded", acme]
    assert (ran.code, ran.err) == (0, "")


def test_plugins_that_fail(run: Run, tmp_path: Path) -> None:
    """A plugin that must work and does not is listed with its reason, and the exit code says so."""
    (tmp_path / "bad.py").write_text("raise ValueError('no good')")
    ran = run("plugins", "--no-autoload", "--plugins", f"{tmp_path / 'bad.py'},nowhere_to_be_found")
    assert ran.rows[-2][:3] == ["bad", "-", "failed"]
    assert ran.out.splitlines()[-2].endswith("failed  cannot be imported: ValueError: no good")
    assert ran.rows[-1][:3] == ["nowhere_to_be_found", "-", "failed"]
    assert ran.code == 1


def test_policies(run: Run) -> None:
    """All policies, with what they are for and how many rules they have."""
    rows = run("policies", "--no-autoload").rows
    assert ["core-flow", "flow_run", "17", "rules"] in rows
    assert ["minimal-task", "task_run", "1", "rules"] in rows


def test_a_policy(run: Run, acme: str) -> None:
    """The rules of a policy in their final order, each with who put it there; what was taken out comes last."""
    rows = run("policies", "core-flow", "--no-autoload", "--plugins", acme).rows
    rules = [row[1:] for row in rows if row[0].isdigit()]
    at = rules.index(["acme.Hold", "acme", "async"])
    assert rules[at - 1 : at + 2] == [["WaitForScheduledTime", "policies"], rules[at], ["acme.Retry", "acme"]]
    assert [" ".join(row) for row in rows if not row[0].isdigit()] == [
        "Taken out: RetryFailedFlows, by plugin acme",
        "Taken out: PreventPendingTransitions, by plugin acme",
    ]


def test_a_policy_that_is_not_there(run: Run) -> None:
    """A name of no policy is an error, with the closest name."""
    ran = run("policies", "core-flw")
    assert (ran.code, ran.err) == (1, "Error: There is no policy named core-flw; did you mean core-flow?\n")


def test_routes(run: Run, acme: str) -> None:
    """Every route with its method and plugin, those of groups, WebSockets and blueprints alike."""
    rows = run("routes", "--no-autoload", "--plugins", acme).rows
    assert ["POST", "/api/flow_runs/{id:uuid}/set_state", "flow_runs"] in rows
    assert ["WS", "/api/events/in", "events"] in rows
    assert [row for row in rows if row[2] == "acme"] == [
        ["GET", "/api/acme/notes/{id:uuid}", "acme"],
        ["WS", "/api/acme/stream", "acme"],
        ["POST", "/api/pages/{name}", "acme"],
    ]
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)


def test_routes_below_another_base_path(run: Run) -> None:
    """Routes are shown where they are."""
    rows = run("routes", "--no-autoload", PREFECT_SERVER_API_BASE_PATH="/prefect/api").rows
    assert ["GET", "/prefect/api/health", "root"] in rows


def test_settings(run: Run, acme: str, tmp_path: Path) -> None:
    """Every setting with its value and source, those of plugins too; secrets are masked."""
    (tmp_path / "prefect.toml").write_text("[server.api]\nport = 4242\n[kernel.plugin]\nacme_days = 5\n")
    rows = {
        row[0]: row[1:]
        for row in run(
            "settings",
            "--no-autoload",
            "--plugins",
            acme,
            PREFECT_SERVER_API_HOST="0.0.0.0",
            PREFECT_KERNEL_ACME_KEY="hush",
            PREFECT_SERVER_API_AUTH_STRING="admin:hush",
        ).rows
    }
    assert rows["PREFECT_SERVER_API_HOST"] == ["0.0.0.0", "environment"]
    assert rows["PREFECT_SERVER_API_PORT"] == ["4242", "prefect.toml"]
    assert rows["PREFECT_SERVER_API_DEFAULT_LIMIT"] == ["200", "default"]
    assert rows["PREFECT_KERNEL_ACME_KEY"] == ["**********", "environment"]
    assert rows["PREFECT_SERVER_API_AUTH_STRING"] == ["**********", "environment"]
    assert rows["ACME_DAYS"] == ["5", "prefect.toml"]
    assert rows["PREFECT_KERNEL_NO_AUTOLOAD"] == ["true", "command", "line"]
