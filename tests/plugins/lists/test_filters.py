"""Lists hold exactly the rows that the filters describe."""

from __future__ import annotations

import math
from typing import Any

import pytest

from prefect_kernel.testing import KernelUnderTest

from .data import Row, Rows
from .model import Model
from .requests import SORTS, Requests

KINDS = ["flows", "flow_runs", "task_runs"]


def answer(kernel: KernelUnderTest, path: str, body: Row) -> Any:
    """The answer to a request that is in order."""
    found = kernel.client.post(path, json=body)
    assert found.status == 200, (body, found.text)
    return found.json()


@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_finds_what_a_plain_model_finds(kernel: KernelUnderTest, rows: Rows, kind: str) -> None:
    """Random filters of all resources, with and without operators, find the rows that a model in Python finds."""
    requests, model = Requests(7, rows), Model(rows)
    sizes = set()
    for _ in range(150):
        body = requests.filters_of(kind)
        expected = sorted(row["id"] for row in model.found(kind, body))
        found = sorted(row["id"] for row in answer(kernel, f"/{kind}/filter", body))
        assert found == expected, body
        assert answer(kernel, f"/{kind}/count", body) == len(expected), body
        sizes.add(len(expected))
    assert len(sizes) > 5  # the filters did tell rows apart


def sort_key(sort: str, row: Row) -> Any:
    """What a row is sorted by."""
    name = sort.rsplit("_", 1)[0].lower()
    if sort.startswith("START_TIME"):
        return row["start_time"] or row["expected_start_time"]
    return row[name]


@pytest.mark.parametrize("kind", KINDS)
def test_every_sort_orders_every_page(kernel: KernelUnderTest, rows: Rows, kind: str) -> None:
    """Pages in any sort are in its order, follow one another, and together hold every row once.

    With state types asked for as well, where some sorts are read from several indexes and merged.
    """
    by_id = {row["id"]: row for row in rows[kind.removesuffix("s")]}
    types: list[dict[str, Any]] = [{}]
    if kind != "flows":
        types += [{kind: {"state": {"type": {"any_": some}}}} for some in (["FAILED"], ["RUNNING", "FAILED", "PAUSED"])]
    for sort in SORTS[kind]:
        for filters in types:
            expected = [row["id"] for row in Model(rows).found(kind, filters)]
            found: list[str] = []
            for page in range(1, math.ceil(len(expected) / 7) + 1):
                body = {**filters, "sort": sort, "limit": 7}
                paged = answer(kernel, f"/{kind}/paginate", {**body, "page": page})
                listed = answer(kernel, f"/{kind}/filter", {**body, "offset": 7 * (page - 1)})
                ids = [row["id"] for row in paged["results"]]
                assert [row["id"] for row in listed] == ids
                assert (paged["count"], paged["limit"], paged["page"]) == (len(expected), 7, page)
                assert paged["pages"] == math.ceil(len(expected) / 7)
                found += ids
            assert sorted(found) == sorted(expected)
            keys = [key for id in found if (key := sort_key(sort, by_id[id])) is not None]
            if sort.startswith("NAME") and not all(str(key).isascii() for key in keys):
                continue  # databases collate letters beyond ASCII in their own ways
            if sort.startswith("NAME"):
                keys = keys if kernel.kernel.storage.dialect == "sqlite" else []
            assert keys == sorted(keys, reverse=sort.endswith("DESC")), sort


def test_limits(kernel: KernelUnderTest, rows: Rows) -> None:
    """A list has at most the limit of rows; none at all is allowed, and pages of none are no pages."""
    assert len(answer(kernel, "/flow_runs/filter", {"limit": 3})) == 3
    assert answer(kernel, "/flow_runs/filter", {"limit": 0}) == []
    empty = answer(kernel, "/flow_runs/paginate", {"limit": 0})
    assert empty == {"results": [], "count": len(rows["flow_run"]), "limit": 0, "pages": 0, "page": 1}
    assert kernel.client.post("/flow_runs/filter").json() == answer(kernel, "/flow_runs/filter", {})


REFUSED: list[tuple[Row, Any]] = [
    ({"limit": -1}, {"detail": "Invalid limit: must be greater than or equal to 0."}),
    ({"limit": 201}, {"detail": "Invalid limit: must be less than or equal to 200."}),
    (
        {"flow_runs": {"name": {"bogus": 1}}},
        [
            {
                "type": "extra_forbidden",
                "loc": ["body", "flow_runs", "name", "bogus"],
                "msg": "Extra inputs are not permitted",
                "input": 1,
            }
        ],
    ),
    (
        {"flow_runs": {"operator": "xor_"}},
        [
            {
                "type": "enum",
                "loc": ["body", "flow_runs", "operator"],
                "msg": "Input should be 'and_' or 'or_'",
                "input": "xor_",
                "ctx": {"expected": "'and_' or 'or_'"},
            }
        ],
    ),
    (
        {"offset": -1},
        [
            {
                "type": "greater_than_equal",
                "loc": ["body", "offset"],
                "msg": "Input should be greater than or equal to 0",
                "input": -1,
                "ctx": {"ge": 0},
            }
        ],
    ),
]


@pytest.mark.parametrize(("body", "error"), REFUSED)
def test_what_is_refused(kernel: KernelUnderTest, body: Row, error: Any) -> None:
    """Limits out of range, unknown keys and operators are refused in the reference's words."""
    refused = kernel.client.post("/flow_runs/filter", json=body)
    assert refused.status == 422
    found = refused.json()
    assert (found if "detail" in found else found["exception_detail"]) == error


def test_unknown_keys_beside_the_filters_are_ignored(kernel: KernelUnderTest) -> None:
    """The request's own keys are open, as the reference's are; and null is as good as nothing."""
    assert answer(kernel, "/flow_runs/filter", {"whatever": 1, "flow_runs": None, "limit": None}) == []
