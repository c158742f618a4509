"""Kinds of triggers and actions that a plugin brings, from their declaration to their firing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from prefect_kernel.testing import KernelUnderTest, MakeKernel
from tests.support.kernel import clean_environment

from . import acme_kinds
from .test_triggers import look, send

PLUGIN = Path(acme_kinds.__file__)
COSTLY = {"type": "acme-costly", "expect": ["order*"], "above": 100, "threshold": 2, "within": 60}
NOTE = {"type": "acme-note", "board": "board", "text": "{{ event.payload.cost }}"}


def make(kernel: KernelUnderTest, **fields: Any) -> Any:
    """Make an automation of these kinds; as it is shown."""
    answer = kernel.client.post("/automations/", json={"name": "a", "trigger": COSTLY, "actions": [NOTE], **fields})
    assert answer.status == 201, answer.text
    return answer.json()


def test_used_like_built_in_ones(make_kernel: MakeKernel, prepared_url: str) -> None:
    """Shown with their own members, counted in windows, within composite triggers too; the action is done."""
    kernel = make_kernel(str(PLUGIN), storage=prepared_url)
    made = make(kernel)
    assert made["trigger"]["above"] == 100.0
    assert made["trigger"]["within"] == 60.0
    assert made["actions"] == [NOTE]
    assert kernel.client.get(f"/automations/{made['id']}").json() == made
    nested = {"type": "sequence", "within": None, "triggers": [COSTLY, {**COSTLY, "threshold": 1, "expect": ["end"]}]}
    make(kernel, name="b", trigger=nested, actions=[])
    for cost in (10, 200, 300):
        send(kernel, "order.made", payload={"cost": cost})
    assert look(kernel) == 1
    send(kernel, "end", payload={"cost": 101})
    assert look(kernel) == 2
    kernel.tick("actions")
    assert kernel.client.get("/variables/name/board").json()["value"] == "300"
    told = [one for one in kernel.events if one["event"].startswith("prefect.automation.action.")]
    assert [one["event"].rpartition(".")[2] for one in told] == ["triggered", "executed"]
    assert told[0]["resource"]["prefect.trigger-type"] == "acme-costly"
    assert told[1]["payload"]["action_type"] == "acme-note"
    assert {"prefect.resource.id": "acme.board.board", "prefect.resource.role": "target"} in told[1]["related"]


def test_wrong_input_is_told_by_the_kind(make_kernel: MakeKernel) -> None:
    """What is missing is named; a kind that nobody has brought is compared with the built-in ones, as ever."""
    kernel = make_kernel(str(PLUGIN))
    body = {"name": "a", "trigger": {"type": "acme-costly"}, "actions": [{"type": "acme-note", "board": "b"}]}
    answer = kernel.client.post("/automations/", json=body)
    assert answer.status == 422
    found = {tuple(one["loc"]) for one in answer.json()["exception_detail"]}
    assert found == {("body", "trigger", "above"), ("body", "actions", 0, "text")}
    kernel.run(kernel.kernel.close())
    plain = make_kernel()
    body["trigger"] = {"type": "event", "posture": "Reactive"}
    refused = plain.client.post("/automations/", json=body)
    assert refused.status == 422
    assert {tuple(one["loc"][:3]) for one in refused.json()["exception_detail"]} == {("body", "actions", 0)}


def test_an_action_that_fails(make_kernel: MakeKernel) -> None:
    """It is among the dead letters, with the reason it gave."""
    kernel = make_kernel(str(PLUGIN))
    make(kernel, trigger={**COSTLY, "threshold": 1}, actions=[{**NOTE, "board": "full"}])
    send(kernel, "order.made", payload={"cost": 101})
    assert look(kernel) == 1
    kernel.tick("actions")
    (letter,) = kernel.client.get("/kernel/automations/dead-letters").json()
    assert (letter["status"], letter["error"]) == ("failed", "The board is full")


def test_without_its_plugin(make_kernel: MakeKernel, prepared_url: str) -> None:
    """An automation of kinds that are not there is shown as it was, does not fire, and can be switched off and deleted.

    What it had left to be done fails with the reason.
    """
    kernel = make_kernel(str(PLUGIN), storage=prepared_url)
    made = make(kernel, trigger={**COSTLY, "threshold": 1})
    send(kernel, "order.made", payload={"cost": 101})
    assert look(kernel) == 1
    kernel.run(kernel.kernel.close())
    other = make_kernel(storage=prepared_url)
    path = f"/automations/{made['id']}"
    assert other.client.get(path).json()["trigger"] == made["trigger"]
    assert len(other.client.post("/automations/filter", json={}).json()) == 1
    other.tick("actions")
    (letter,) = other.client.get("/kernel/automations/dead-letters").json()
    assert "not loaded" in letter["error"]
    send(other, "order.made", payload={"cost": 101})
    assert look(other) == 1
    assert other.client.post(f"/kernel{path}/test", json={}).status == 409
    assert other.client.patch(path, json={"enabled": False}).status == 204
    assert other.client.patch(path, json={"enabled": True}).status == 422
    assert other.client.delete(path).status == 204


def test_they_are_listed(make_kernel: MakeKernel, tmp_path: Path) -> None:
    """With their plugin and what they want, beside the built-in ones."""
    found = make_kernel(str(PLUGIN)).client.get("/kernel/automations/kinds").json()
    assert [one["type"] for one in found["triggers"]] == ["event", "compound", "sequence", "acme-costly"]
    assert len(found["actions"]) == 18
    assert found["actions"][-1]["type"] == "acme-note"
    assert found["actions"][-1]["schema"]["required"] == ["board", "text"]
    command = [sys.executable, "-m", "prefect_kernel", "plugins", "--no-autoload", "--plugins", str(PLUGIN)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment(tmp_path))
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    assert "trigger acme-costly; action acme-note" in shown
