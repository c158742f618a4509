"""Texts longer than PostgreSQL's indexes hold: what cannot be stored is refused, and holds up nothing else."""

from __future__ import annotations

import random
from typing import Any

import pytest

from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.events.tables import events

from .support import event, rows
from .test_persister import emit, waiting

LONG = "".join(random.Random(5).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=12_000))
WIDE = "".join(chr(one) for one in random.Random(6).choices(range(0x20000, 0x2A000), k=1024))
"""As many characters as a name may have, of four bytes each."""


def test_a_2xx_means_stored(kernel: KernelUnderTest) -> None:
    """Who sends one that cannot be stored is told so, and which; the others of its list are stored."""
    wrongs: tuple[dict[str, Any], ...] = ({"resource": {"prefect.resource.id": LONG}}, {"event": WIDE})
    for number, wrong in enumerate(wrongs):
        sent = [event(kernel), event(kernel, **wrong), event(kernel)]
        answer = kernel.client.post("/events", json=sent)
        ids = {one["id"] for one in rows(kernel, events.name)}
        assert {sent[0]["id"], sent[2]["id"]} <= ids
        if sent[1]["id"] in ids:  # on SQLite
            assert answer.status == 204
        else:
            assert answer.status == 422
            assert answer.json()["detail"].startswith(f"Event {sent[1]['id']} cannot be stored: it is too long")
        assert len(ids) == 3 * (number + 1) - (answer.status != 204) * (number + 1)


def test_runs_with_a_long_tag(kernel: KernelUnderTest) -> None:
    """Their events tell of it where it can be stored; they and those after them are moved out of the outbox."""
    first, second = kernel.flow_run(tags=["hot", LONG]), kernel.flow_run(tags=["cold"])
    emit(kernel, *(event(kernel, f"test.{number}") for number in range(3)))
    kernel.tick("event-persister")
    assert waiting(kernel) == 0
    found = {one["resource_id"]: one for one in rows(kernel, events.name)}
    assert f"prefect.flow-run.{second['id']}" in found
    tags = {one["prefect.resource.id"] for one in found[f"prefect.flow-run.{first['id']}"]["related"]}
    assert "prefect.tag.hot" in tags


def test_what_cannot_be_stored_at_all(kernel: KernelUnderTest, caplog: pytest.LogCaptureFixture) -> None:
    """It is dropped, told in the log, and those behind it do not wait."""
    emit(kernel, event(kernel, resource={"prefect.resource.id": LONG}), event(kernel, "test.after"))
    kernel.tick("event-persister")
    assert waiting(kernel) == 0
    names = [one["event"] for one in rows(kernel, events.name)]
    assert "test.after" in names
    assert len(names) == 2 or "cannot be stored, and is dropped" in caplog.text


def test_a_state_with_a_long_name(kernel: KernelUnderTest) -> None:
    """Refused where it cannot be stored, as any bad input is."""
    run = kernel.flow_run()
    state = {"type": "RUNNING", "name": LONG}
    answer = kernel.client.post(f"/flow_runs/{run['id']}/set_state", json={"state": state})
    assert answer.status in (200, 201, 422)
    if answer.status == 422:
        assert "too long" in answer.json()["detail"]
