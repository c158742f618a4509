"""The built-in lists are Prefect's, in its order."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from .support import POLICIES

_REFERENCE = {
    "core-flow": "core_policy.CoreFlowPolicy",
    "minimal-flow": "core_policy.MinimalFlowPolicy",
    "mark-late-runs": "core_policy.MarkLateRunsPolicy",
    "core-task": "core_policy.CoreTaskPolicy",
    "client-side-task": "core_policy.ClientSideTaskOrchestrationPolicy",
    "background-task": "core_policy.BackgroundTaskPolicy",
    "minimal-task": "core_policy.MinimalTaskPolicy",
    "global-flow": "global_policy.GlobalFlowPolicy",
    "global-task": "global_policy.GlobalTaskPolicy",
}

_SCRIPT = """
import importlib, json, sys
import prefect.server.models  # breaks the circle of its imports
def types(states):
    return sorted("-" if state is None else state.value for state in states)
out = {}
for name, path in json.loads(sys.argv[1]).items():
    module, cls = path.split(".")
    policy = getattr(importlib.import_module("prefect.server.orchestration." + module), cls)
    out[name] = [[rule.__name__, types(rule.FROM_STATES), types(rule.TO_STATES)] for rule in policy.priority()]
print(json.dumps(out))
"""


def _types(states: frozenset[str | None] | set[str | None]) -> list[str]:
    return sorted(state or "-" for state in states)


def test_numbers_and_names() -> None:
    """Nine policies; the sizes of their lists, and what stands first and last."""
    assert {name: len(policy.rules) for name, policy in POLICIES.items()} == {
        "core-flow": 17,
        "minimal-flow": 4,
        "mark-late-runs": 3,
        "core-task": 11,
        "client-side-task": 10,
        "background-task": 12,
        "minimal-task": 1,
        "global-flow": 14,
        "global-task": 10,
    }
    names = [rule.rule_name() for rule in POLICIES["core-flow"].rules]
    assert names[0] == "PreserveDeploymentConcurrencyLeaseId"
    assert names[-2:] == ["InstrumentFlowRunStateTransitions", "ReleaseFlowConcurrencySlots"]


@pytest.mark.reference
def test_lists_equal_the_reference(reference_python: Path) -> None:
    """Every policy has Prefect's rules, in its order, each for the same types of states."""
    ran = subprocess.run(
        [reference_python, "-c", _SCRIPT, json.dumps(_REFERENCE)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    ours = {
        name: [[r.rule_name(), _types(r.from_states), _types(r.to_states)] for r in policy.rules]
        for name, policy in POLICIES.items()
    }
    assert ours == json.loads(ran.stdout.splitlines()[-1])
