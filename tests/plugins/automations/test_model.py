"""Random automations and events: the kernel, a model that is obvious, and Prefect's own code fire on the same.

`PREFECT_KERNEL_TRIGGER_CASES` says how many scenarios the kernel is given; the default is for every run of the tests.
`PREFECT_KERNEL_TRIGGER_SEED` is the first of them: others are given than before.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.automations import watching
from prefect_kernel_plugins.automations.tables import automation_firing
from tests.support.prepared import Prepared

from .model import Firings, Model
from .scenarios import scenario

CASES = int(os.environ.get("PREFECT_KERNEL_TRIGGER_CASES", "150"))
_FIRST = int(os.environ.get("PREFECT_KERNEL_TRIGGER_SEED", "0"))
SEEDS = range(_FIRST, _FIRST + max(CASES, 12))
pytestmark = pytest.mark.timeout(120 + CASES)
SCRIPT = Path(__file__).with_name("script_triggers.py")

_CLEAR = [
    Statement(sa.text(f"DELETE FROM {name}"))
    for name in (
        "kernel_automation_action kernel_automation_firing kernel_trigger_event kernel_proactive_run automation_bucket"
        " automation_event_follower composite_trigger_child_firing automation event_resources events"
        " kernel_event_outbox"
    ).split()
]
_FIRINGS = Statement(
    sa.select(automation_firing.c.automation_id, automation_firing.c.fired, automation_firing.c.firing)
)


def clear() -> Unit[None]:
    """Forget everything of a scenario."""
    for statement in _CLEAR:
        yield statement()


def read() -> Unit[list[Any]]:
    """All firings."""
    rows: list[Any] = yield _FIRINGS()
    return rows


def by_model(made: dict[str, Any]) -> Firings:
    """What the model says."""
    model = Model(made["automations"])
    for step in made["steps"]:
        model.step(step["now"], step["events"])
    return model.firings


def by_kernel(kernel: KernelUnderTest, made: dict[str, Any]) -> Firings:
    """What the kernel does, by its routes, its queue and its service."""
    storage = kernel.kernel.storage
    kernel.run(storage.write(clear))
    begin = kernel.clock.advance(days=1)
    numbers = {}
    for number, trigger in enumerate(made["automations"]):
        body = {"name": f"{number}", "trigger": trigger, "actions": []}
        answer = kernel.client.post("/automations/", json=body)
        assert answer.status == 201, answer.text
        numbers[str(answer.json()["id"])] = number
    for step in made["steps"]:
        kernel.clock.set(begin + timedelta(seconds=step["now"]))
        if step["events"]:
            sent = [
                {**one, "occurred": (begin + timedelta(seconds=one["occurred"])).isoformat()} for one in step["events"]
            ]
            assert kernel.client.post("/events", json=sent).status == 204
        kernel.tick("triggers")
    found: Firings = {}
    for automation_id, fired, text in kernel.run(storage.read(read)):
        firing = json.loads(text)
        event, labels = firing["triggering_event"], tuple(sorted(firing["triggering_labels"].items()))
        at = (int((fired - begin).total_seconds()), numbers[str(automation_id)])
        found.setdefault(at, Counter())[(event and event["id"], labels)] += 1
    return found


def test_the_kernel_fires_as_the_model(kernel: KernelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same firings at the same times, however many events are looked at in one transaction."""
    fired = 0
    for seed in SEEDS[:CASES]:
        made = scenario(seed)
        monkeypatch.setattr(watching, "BATCH", made["batch"])
        expected = by_model(made)
        assert by_kernel(kernel, made) == expected, f"seed {seed}"
        fired += sum(found.total() for found in expected.values())
    assert fired > CASES


def test_the_model_fires_as_prefect(reference_python: Path, prepared: Prepared, tmp_path: Path) -> None:
    """The same scenarios, evaluated by Prefect 3.8.8's code on a database of its own."""
    seeds = SEEDS[: max(12, CASES // 20)]
    made = [scenario(seed) for seed in seeds]
    command = [str(reference_python), str(SCRIPT), str(tmp_path), prepared.sqlite(tmp_path)]
    done = subprocess.run(command, input=json.dumps(made), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for seed, one, firings in zip(seeds, made, json.loads(done.stdout), strict=True):
        found: Firings = {}
        for now, number, event, labels in firings:
            key = (event, tuple((name, value) for name, value in labels))
            found.setdefault((now, number), Counter())[key] += 1
        assert by_model(one) == found, f"seed {seed}"
