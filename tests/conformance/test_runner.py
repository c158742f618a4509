"""The runner catches a server that is wrong, and only that.

Two kernels play the reference and the kernel: what is judged here is the judge. The wrong one is wrong by a plugin.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.fixtures import ServerFactory

WRONG: dict[str, tuple[str, str, str]] = {
    # What is wrong: (hooks of the plugin, which cases, where the difference must be seen)
    "a rule is missing": (
        """
        @hookimpl
        def kernel_policy_edits(settings):
            return [Remove("WaitForScheduledTime", policy="core-flow")]
        """,
        "scheduled_times",
        r"set_state, at status|set_state, at body\.",
    ),
    "a rule gives another reason": (
        """
        class Waits(WaitForScheduledTime):
            name = "WaitForScheduledTime"
            def before(self, move):
                super().before(move)
                if move.status == "WAIT":
                    move.details["reason"] = "Later"

        @hookimpl
        def kernel_policy_edits(settings):
            return [Replace("WaitForScheduledTime", Waits, policy="core-flow")]
        """,
        "scheduled_times",
        r"set_state, at body\.details\.reason",
    ),
    "something else is written": (
        """
        class Renames(FlowTransform):
            def before(self, move):
                move.run["infrastructure_pid"] = "mine"

        @hookimpl
        def kernel_policy_edits(settings):
            return [Insert(Renames, policy="core-flow", after="RetryFailedFlows")]
        """,
        "scheduled_times",
        r"rows\.flow_run\[\]\.infrastructure_pid|infrastructure_pid",
    ),
    "requests are refused": (
        """
        from prefect_kernel.errors import Unprocessable

        async def check(request, endpoint):
            if endpoint.method == "PATCH":
                raise Unprocessable("no")

        @hookimpl
        def kernel_middleware(settings):
            return [check]
        """,
        "update",
        r"PATCH /flow_runs/\*, at status",
    ),
}

HEAD = """
from prefect_kernel import FlowTransform, Insert, Remove, Replace, hookimpl
from prefect_kernel_plugins.policies.rules.admission import WaitForScheduledTime
"""


@dataclass
class Run:
    """What a run of the runner gave."""

    code: int
    text: str
    results: dict[str, Any]
    html: str


def run(directory: Path, *options: str) -> Run:
    """Run the runner as a person would."""
    json_file, html_file = directory / "results.json", directory / "report.html"
    arguments = ["--json", str(json_file), "--html", str(html_file), *options]
    done = subprocess.run(
        [sys.executable, "-m", "prefect_kernel_conformance", *arguments], capture_output=True, text=True, timeout=110
    )
    assert json_file.exists(), done.stdout + done.stderr
    return Run(done.returncode, done.stdout, json.loads(json_file.read_text()), html_file.read_text())


def places(kernel: Any, reference: Any, *, rows: bool = True) -> list[str]:
    """Options that say where two servers are that run already."""
    options = ["--kernel", kernel.api_url, "--reference", reference.api_url]
    if rows:
        options += ["--kernel-db", kernel.database_url, "--reference-db", reference.database_url]
    return options


def two(server: ServerFactory, tmp_path: Path, *options: str, env: dict[str, str] | None = None) -> list[str]:
    """Start two kernels; the second has the options."""
    reference = server(f"sqlite+aiosqlite:///{tmp_path / 'reference.db'}", "--no-services")
    kernel = server(f"sqlite+aiosqlite:///{tmp_path / 'kernel.db'}", "--no-services", *options, env=env or {})
    return places(kernel, reference)


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_server_is_caught(server: ServerFactory, tmp_path: Path, what: str) -> None:
    """The run fails, names the request and the place, and shows both sides; the report says the same."""
    hooks, match, place = WRONG[what]
    plugin = tmp_path / "wrong.py"
    indented = hooks.strip("\n")
    margin = len(indented) - len(indented.lstrip())
    plugin.write_text(HEAD + "\n".join(line[margin:] for line in indented.splitlines()))
    where = two(server, tmp_path, "--plugins", str(plugin))
    group = "flow_runs" if match == "update" else "flow_policies"
    found = run(tmp_path, *where, "--only", group, "--match", match, "--cases", "0")
    assert found.code == 1, found.text
    kinds = [f"{one['request']}, at {one['place']}" for one in found.results["differences"]]
    assert any(re.search(place, kind) for kind in kinds), kinds
    assert "No unexplained difference" not in found.text + found.html
    assert "reference:" in found.text
    assert "kernel:" in found.text


def test_equal_servers_are_equal(server: ServerFactory, tmp_path: Path) -> None:
    """Two right servers: no difference, exit code 0, and the report says so; cases were really played."""
    where = two(server, tmp_path, env={"PREFECT_KERNEL_EXPLAIN_COVERAGE": "true"})
    found = run(tmp_path, *where, "--only", "flow_policies", "--only", "states", "--cases", "10", "--share", "0.2")
    assert found.code == 0, found.text
    assert "No unexplained difference." in found.text
    assert "No unexplained difference." in found.html
    groups = {group["group"]: group for group in found.results["groups"]}
    assert groups["flow_policies"]["generated"] == 10
    assert groups["flow_policies"]["requests"] > 50
    counted = {(one["policy"], one["rule"]): one for one in found.results["coverage"]}
    assert counted["core-flow", "InstrumentFlowRunStateTransitions"]["fired"] > 0
    assert counted["core-flow", "PreserveDeploymentConcurrencyLeaseId"]["first"]
    assert "InstrumentFlowRunStateTransitions" in found.html


def test_a_difference_is_shortened(server: ServerFactory, tmp_path: Path) -> None:
    """Of a long random walk only the steps remain that are needed to show the difference."""
    plugin = tmp_path / "wrong.py"
    plugin.write_text(
        HEAD
        + """
class Cancels(FlowTransform):
    def before(self, move):
        if move.proposed is not None and move.proposed.type == "CANCELLED":
            move.proposed.message = "wrong"

@hookimpl
def kernel_policy_edits(settings):
    return [Insert(Cancels, policy="core-flow", after="RetryFailedFlows")]
"""
    )
    where = two(server, tmp_path, "--plugins", str(plugin))
    options = ["--only", "flow_policies", "--match", "walks", "--generated-only", "--cases", "40"]
    found = run(tmp_path, *where, *options)
    assert found.code == 1
    first = re.search(r"^1\..*?(?=^2\.|\Z)", found.text, re.DOTALL | re.MULTILINE)
    assert first is not None
    steps = re.findall(r"^\s+(?:-->)?\s+\d+ (POST|PATCH|GET|SEED)", first[0], re.MULTILINE)
    assert 0 < len(steps) <= 4, first[0]  # a flow, a run, perhaps a state before, and the one that shows it


def test_the_same_seed_gives_the_same_cases() -> None:
    """Cases depend on the seed and their number alone."""
    from prefect_kernel_conformance.run import Choice, choose

    def drawn(seed: int) -> list[Any]:
        return [(case.name, case.steps) for case in choose(Choice(["flow_policies"], "walks", seed, 20, False))]

    assert drawn(1) == drawn(1) != drawn(2)
    assert (
        drawn(1)[:5]
        == [(case.name, case.steps) for case in choose(Choice(["flow_policies"], "walks", 1, 20, False))][:5]
    )


def test_deviations_must_be_declared() -> None:
    """Each has a reason and a pattern that is no blank cheque; the page is made from the file."""
    from prefect_kernel_conformance import deviations

    declared = deviations.load()
    assert len({one.id for one in declared}) == len(declared)
    for one in declared:
        assert one.reason.strip(), one.id
        assert one.place != "*" or one.request != "*", one.id
        assert one.reference or one.kernel or one.sent or "*" not in one.request, one.id
    page = Path(__file__).parents[2] / "conformance" / "DEVIATIONS.md"
    assert page.read_text(encoding="utf-8") == deviations.page(declared, deviations.additions())
