"""The OpenAPI document is made of the declarations that serve requests."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_kernel.testing import MakeKernel


@pytest.fixture
def document(make_kernel: MakeKernel) -> Any:
    """What `/openapi.json` answers."""
    answer = make_kernel().client.get("/openapi.json", absolute=True)
    assert answer.status == 200
    return answer.json()


def references(value: Any) -> set[str]:
    """Every `$ref` in a document."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(part) for part in value.values()))
    return set().union(*(references(part) for part in value)) if isinstance(value, list) else set()


def test_every_route_is_in_it(make_kernel: MakeKernel) -> None:
    """With its method, under the path as people write it."""
    kernel = make_kernel()
    document = kernel.client.get("/openapi.json", absolute=True).json()
    described = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if method != "parameters"
    }
    for path, method in (
        ("/api/flows/", "POST"),
        ("/api/flow_runs/{id}/set_state", "POST"),
        ("/api/variables/name/{name}", "GET"),
        ("/api/health", "GET"),
    ):
        assert (method, path) in described


def test_it_hangs_together(document: Any) -> None:
    """Each reference leads to something, and operations have names of their own."""
    for reference in references(document):
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
    names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names)) > 180


def test_what_a_route_takes_and_gives(document: Any) -> None:
    """Bodies, success codes, and the shape of errors."""
    create = document["paths"]["/api/variables/"]["post"]
    body = create["requestBody"]["content"]["application/json"]["schema"]
    fields = document["components"]["schemas"][body["$ref"].rsplit("/", 1)[1]]["properties"]
    assert {"name", "value", "tags"} <= set(fields)
    assert "201" in create["responses"]
    assert "422" in create["responses"]
