"""Saved searches."""

from __future__ import annotations

from prefect_kernel.testing import KernelUnderTest

CONDITION = {"object": "flow", "property": "name", "type": "string", "operation": "equals", "value": {"a": [None]}}


def test_saving_again_replaces(kernel: KernelUnderTest) -> None:
    """A search is new once; its filters are those that were saved last, and unknown members are left out."""
    first = kernel.client.put("/saved_searches/", json={"name": "x", "filters": [{**CONDITION, "more": 1}]})
    assert (first.status, first.json()["filters"]) == (201, [CONDITION])
    again = kernel.client.put("/saved_searches/", json={"name": "x"})
    assert (again.status, again.json()["id"], again.json()["filters"]) == (200, first.json()["id"], [])
    assert kernel.client.get(f"/saved_searches/{first.json()['id']}").json() == again.json()


def test_lists_and_deletion(kernel: KernelUnderTest) -> None:
    """By name, in pages; a deleted one is gone."""
    ids = {name: kernel.client.put("/saved_searches/", json={"name": name}).json()["id"] for name in "cab"}
    names = lambda **body: [one["name"] for one in kernel.client.post("/saved_searches/filter", json=body).json()]  # noqa: E731
    assert names() == ["a", "b", "c"]
    assert names(limit=1, offset=1) == ["b"]
    assert kernel.client.delete(f"/saved_searches/{ids['b']}").status == 204
    assert kernel.client.delete(f"/saved_searches/{ids['b']}").status == 404
    assert names() == ["a", "c"]
