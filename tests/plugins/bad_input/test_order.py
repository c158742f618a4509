"""What is said first of bodies in which several things are wrong."""

from __future__ import annotations

import pytest

from prefect_kernel.testing import MakeKernel, make_kernel

__all__ = ["make_kernel"]

LISTS = ("/flows/filter", "/task_runs/paginate", "/artifacts/filter", "/work_pools/none/queues/filter", "/logs/filter")


def test_a_wrong_limit_is_said_before_all_else(make_kernel: MakeKernel) -> None:
    """A number that is too small or too large is the answer; a limit that is no number is among what is wrong."""
    client = make_kernel().client
    wrong = {"flows": 1, "task_runs": 1, "artifacts": 1, "work_queues": 1, "logs": 1}
    for path in LISTS:
        for limit, told in ((-1, "greater than or equal to 0"), ("201", "less than or equal to 200")):
            answer = client.post(path, json={**wrong, "limit": limit})
            assert (answer.status, answer.json()) == (422, {"detail": f"Invalid limit: must be {told}."})
        answer = client.post(path, json={**wrong, "limit": "x"})
        first, *others = [error["loc"][1] for error in answer.json()["exception_detail"]]
        assert first == "limit"
        assert others


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("/work_pools/filter", ["work_pools", "offset"]),
        ("/work_pools/none/queues/filter", ["work_queues", "offset"]),
        ("/work_pools/none/workers/filter", ["workers", "offset"]),
        ("/work_queues/filter", ["offset", "work_queues"]),
        ("/automations/filter", ["sort", "offset", "automations"]),
    ],
)
def test_members_are_checked_in_prefects_order(make_kernel: MakeKernel, path: str, members: list[str]) -> None:
    """Not in that in which they were sent."""
    answer = make_kernel().client.post(path, json=dict.fromkeys(reversed(["limit", *members]), "x"))
    assert [error["loc"][1] for error in answer.json()["exception_detail"]] == ["limit", *members]


def test_members_of_filters_that_other_slices_add(make_kernel: MakeKernel) -> None:
    """They have a place among the others, too."""
    wrong = {"tags": 1, "name": 1, "deployment": 1, "id": 1}
    answer = make_kernel().client.post("/flows/filter", json={"flows": wrong})
    assert [error["loc"][2] for error in answer.json()["exception_detail"]] == ["id", "deployment", "name", "tags"]
    wrong = {"idempotency_key": 1, "parent_task_run_id": 1, "parent_flow_run_id": 1}
    answer = make_kernel().client.post("/flow_runs/filter", json={"flow_runs": wrong})
    assert [error["loc"][2] for error in answer.json()["exception_detail"]] == [*reversed(wrong)]
