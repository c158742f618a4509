"""Variables."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_kernel.testing import KernelUnderTest

VALUES: list[Any] = ["", "5", "ü ✓", 'a\\"b', 0, -7, 2**60, 2.5, True, None, [], {}, {"a": [1, None, {"b": "c\\d"}]}]


def test_every_kind_of_value_comes_back(kernel: KernelUnderTest) -> None:
    """In the answer, by id and by name, and after a change."""
    for number, value in enumerate(VALUES):
        made = kernel.client.post("/variables/", json={"name": f"v-{number}", "value": value, "tags": ["t"]})
        assert made.status == 201, made.text
        read = kernel.client.get(f"/variables/{made.json()['id']}").json()
        assert read == made.json()
        assert (read["value"], read["tags"]) == (value, ["t"])
        assert kernel.client.get(f"/variables/name/v-{number}").json() == read
        assert kernel.client.patch("/variables/name/v-0", json={"value": value}).status == 204
        assert kernel.client.get("/variables/name/v-0").json()["value"] == value


@pytest.mark.parametrize(
    "value", ["NaN", "[1, -Infinity]", '{"a": 1e999}', '"\\u0000"', '{"\\u0000": 1}', '"\\ud800"', "9" * 5000]
)
def test_values_that_no_database_holds(kernel: KernelUnderTest, value: str) -> None:
    """Are refused on each, and nothing is changed."""
    made = kernel.client.post("/variables/", json={"name": "kept", "value": 1}).json()
    headers = {"content-type": "application/json"}
    for method, path, more in (("POST", "/variables/", '"name": "new", '), ("PATCH", "/variables/name/kept", "")):
        body = f'{{{more}"value": {value}}}'.encode()
        answer = kernel.client.request(method, path, json=body, headers=headers)
        assert 400 <= answer.status < 500, answer.text
    assert kernel.client.post("/variables/filter", json={}).json() == [made]


def test_changes(kernel: KernelUnderTest) -> None:
    """Only what is given is changed, by id or by name; a name that is taken is a conflict."""
    one = kernel.client.post("/variables/", json={"name": "one", "value": 1, "tags": ["a"]}).json()
    kernel.client.post("/variables/", json={"name": "two", "value": 2})
    assert kernel.client.patch("/variables/name/one", json={"tags": ["b"]}).status == 204
    assert kernel.client.patch(f"/variables/{one['id']}", json={"name": "uno"}).status == 204
    read = kernel.client.get("/variables/name/uno").json()
    assert (read["id"], read["value"], read["tags"]) == (one["id"], 1, ["b"])
    assert kernel.client.get("/variables/name/one").status == 404
    assert kernel.client.patch("/variables/name/uno", json={"name": "two"}).status == 409
    assert kernel.client.patch("/variables/name/uno", json={"tags": None}).status == 409
    taken = kernel.client.post("/variables/", json={"name": "two", "value": 1})
    assert (taken.status, taken.json()) == (409, {"detail": "A variable with the name 'two' already exists."})
    assert kernel.client.delete("/variables/name/uno").status == 204
    assert kernel.client.delete(f"/variables/{one['id']}").json() == {"detail": "Variable not found."}


@pytest.mark.parametrize(
    "body",
    [
        {"name": "A", "value": 1},
        {"name": "a b", "value": 1},
        {"name": "a" * 256, "value": 1},
        {"name": "a"},
        {"name": "a", "value": "x" * 4999},
        {"name": "a", "value": 2**64},
        {"name": "a", "value": 1, "tags": [1]},
        {"name": "a", "value": 1, "unknown": 1},
    ],
)
def test_what_is_refused(kernel: KernelUnderTest, body: dict[str, Any]) -> None:
    """Nothing is made of it."""
    assert kernel.client.post("/variables/", json=body).status == 422
    assert kernel.client.post("/variables/count", json={}).json() == 0


def test_lists(kernel: KernelUnderTest) -> None:
    """Sorted, paged, filtered by name and tags."""
    for name, tags in (("b", ["x"]), ("a", ["x", "y"]), ("c", [])):
        kernel.client.post("/variables/", json={"name": name, "value": 1, "tags": tags})
        kernel.clock.advance(seconds=1)

    def found(variables: Any = None, **body: Any) -> str:
        given = {**body} if variables is None else {**body, "variables": variables}
        rows = kernel.client.post("/variables/filter", json=given).json()
        assert body or kernel.client.post("/variables/count", json=given).json() == len(rows)
        return "".join(row["name"] for row in rows)

    assert found() == "abc"
    assert found(sort="CREATED_DESC") == "cab"
    assert found(limit=1, offset=1) == "b"
    assert found({"tags": {"all_": ["x"]}}) == "ab"
    assert found({"tags": {"is_null_": True}}) == "c"
    assert found({"name": {"any_": ["a", "c"]}}) == "ac"
    assert found({"operator": "or_", "name": {"like_": "A"}, "tags": {"is_null_": True}}) == "ac"


def test_events(kernel: KernelUnderTest) -> None:
    """What is made, changed and deleted is told, with the value of the moment."""
    made = kernel.client.post("/variables/", json={"name": "one", "value": {"a": 1}, "tags": ["t"]}).json()
    kernel.client.patch("/variables/name/one", json={"value": "new"})
    kernel.client.delete("/variables/name/one")
    told = [(event["event"], event["payload"]["value"]) for event in kernel.events]
    assert told == [
        ("prefect.variable.created", {"a": 1}),
        ("prefect.variable.updated", "new"),
        ("prefect.variable.deleted", "new"),
    ]
    assert kernel.events[0]["resource"] == {
        "prefect.resource.id": f"prefect.variable.{made['id']}",
        "prefect.resource.name": "one",
    }
