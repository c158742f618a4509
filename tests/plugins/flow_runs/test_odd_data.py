"""State data and labels that are no objects."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_kernel.testing import KernelUnderTest, MakeKernel, make_kernel

__all__ = ["make_kernel"]


@pytest.fixture
def kernel(make_kernel: MakeKernel, prepared_url: str) -> KernelUnderTest:
    """A kernel on a new database; the test runs on SQLite and on PostgreSQL."""
    return make_kernel(storage=prepared_url)


@pytest.mark.parametrize("data", [1.5, 7, True, "1.5", "text", [1, None], {"type": "literal", "value": 2}])
def test_data_of_any_kind_is_kept(kernel: KernelUnderTest, data: Any) -> None:
    """Bare numbers among them, which SQLite stores as such; and the run can go on from that state."""
    run = kernel.flow_run(state={"type": "PENDING"})
    kernel.propose(run, "Running", data=data)
    shown = kernel.client.get(f"/flow_runs/{run['id']}").json()["state"]["data"]
    assert shown == data
    assert type(shown) is type(data)
    assert kernel.propose(run, "Completed").status == "ACCEPT"


def test_labels_that_could_not_be_read_are_refused(kernel: KernelUnderTest) -> None:
    """A label is text, a number or a truth value; others, with which the reference breaks its own row, are refused."""
    run = kernel.flow_run()
    assert kernel.client.patch(f"/flow_runs/{run['id']}/labels", json={"a": None}).status == 422
    assert kernel.client.patch(f"/flow_runs/{run['id']}/labels", json={"b": 1}).status == 204
    assert kernel.client.get(f"/flow_runs/{run['id']}").json()["labels"]["b"] == 1


def test_an_empty_idempotency_key_finds_nothing(kernel: KernelUnderTest) -> None:
    """It is unique all the same, so that the second run of the flow is a conflict, and not one to be tried again."""
    run = kernel.flow_run(idempotency_key="")
    body = {"flow_id": run["flow_id"], "idempotency_key": ""}
    assert kernel.client.post("/flow_runs/", json=body).status == 409
    assert kernel.client.post("/flow_runs/", json={**body, "idempotency_key": " "}).status == 201


def test_messages_that_postgresql_cannot_hold(kernel: KernelUnderTest) -> None:
    """A run that fails over binary data has failed: what the exception said is kept, there without NUL characters."""
    run = kernel.flow_run(state={"type": "PENDING", "message": "\0"})
    kernel.propose(run, "Running")
    assert kernel.propose(run, "Failed", message="not \0text").status == "ACCEPT"
    shown = kernel.client.get(f"/flow_runs/{run['id']}").json()["state"]
    assert (shown["type"], shown["message"].replace("\0", "")) == ("FAILED", "not text")
    task = {"flow_run_id": run["id"], "task_key": "t", "dynamic_key": "1", "state": {"type": "FAILED", "message": "\0"}}
    assert kernel.client.post("/task_runs/", json=task).status == 201
