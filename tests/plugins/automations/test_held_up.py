"""One event of which the database makes nothing does not hold up the others."""

from __future__ import annotations

import random
from typing import Any

import pytest

from prefect_kernel import errors
from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.automations import evaluating, watching
from prefect_kernel_plugins.automations.evaluating import Evaluation
from tests.plugins.automations.test_triggers import count, event, look, send, watch

LONG = "".join(random.Random(8).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=12_000))
"""Longer than an index of PostgreSQL can hold, and hardly to be compressed."""


def test_values_too_long_to_be_counted_by(kernel: KernelUnderTest) -> None:
    """They are cut, and told apart all the same."""
    watch(kernel, event(expect=["a"], for_each=["prefect.resource.id", "k"], threshold=2, within=60))
    for label in (LONG, LONG + "x", LONG, "short"):
        send(kernel, "a", resource={"prefect.resource.id": "r", "k": label})
    assert look(kernel) == 1
    assert count(kernel, "kernel_trigger_event") == 0
    keys = {tuple(evaluating.key_of(trigger, of)) for trigger, of in _seen(LONG, LONG + "x", "short")}
    assert len(keys) == 3
    assert all(len(evaluating.key_text(key).encode()) <= evaluating.KEY_BYTES for key in keys)


def _seen(*labels: str) -> list[tuple[Any, Any]]:
    trigger = evaluating.EventTrigger(posture="Reactive", for_each={"prefect.resource.id", "k"})
    made = []
    for label in labels:
        resource = {"prefect.resource.id": "r", "k": label}
        made.append((trigger, evaluating.Event("", None, None, "a", resource, [], {}, None)))  # type: ignore[arg-type]
    return made


def test_what_cannot_be_stored(
    kernel: KernelUnderTest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An event whose consequences the database refuses is left out, and told in the log."""
    watch(kernel, event(expect=["a"]))
    take = Evaluation.take
    bad = ""

    def refusing(self: Evaluation, trigger: Any, of: Any) -> None:
        take(self, trigger, of)
        if of.id == bad:
            self.refused = True  # type: ignore[attr-defined]

    flush = watching.store.flush

    def flushing(under: Any, evaluation: Any) -> Any:
        if getattr(evaluation, "refused", False):
            raise errors.InvalidValue("too long")
        yield from flush(under, evaluation)

    monkeypatch.setattr(Evaluation, "take", refusing)
    monkeypatch.setattr(watching.store, "flush", flushing)
    ids = [send(kernel, "a") for _ in range(5)]
    bad = ids[2]
    assert look(kernel) == 4
    assert count(kernel, "kernel_trigger_event") == 0
    assert f"event {bad} is left out by automations" in caplog.text
