"""The OpenAPI document, made from what serves the routes."""

from __future__ import annotations

import re

import pytest

from prefect_kernel.testing import MakeKernel, make_kernel

__all__ = ["make_kernel"]


def test_every_endpoint_is_described(make_kernel: MakeKernel) -> None:
    """Each registered operation is in the document with its body, and every reference in it resolves."""
    kernel = make_kernel()
    answer = kernel.client.get("/openapi.json")
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    for group in kernel.kernel.groups:
        for endpoint in group.endpoints:
            path = ("" if group.root else "/api") + re.sub(r"\{(\w+):\w+\}", r"{\1}", endpoint.path)
            operation = document["paths"][path][endpoint.method.lower()]
            assert ("requestBody" in operation) == (endpoint.body is not None)
            assert {str(status) for status in endpoint.status} <= set(operation["responses"])
    names = set(re.findall(r"#/components/schemas/([\w.-]+)", answer.text))
    assert names <= set(document["components"]["schemas"])
    assert {"Flow", "FlowRunResponse", "TaskRun", "State", "OrchestrationResult", "FlowRunFilter"} <= names
    run = document["components"]["schemas"]["FlowRunResponse"]["properties"]
    assert run["id"] == {"type": "string", "format": "uuid"}
    paths = document["paths"]
    assert paths["/api/deployments/get_scheduled_flow_runs"]["post"]["requestBody"]["required"] is True
    assert paths["/api/flow_runs/filter"]["post"]["requestBody"]["required"] is False, "all of it can be left out"


def test_the_page_shows_the_document(make_kernel: MakeKernel) -> None:
    """The page loads the document from beside itself, and nothing from elsewhere."""
    page = make_kernel().client.get("/docs")
    assert page.status == 200
    assert "openapi.json" in page.text
    assert "http" not in re.sub(r"http-equiv", "", page.text)


@pytest.mark.parametrize("below", ["", "/api"])
@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_links_can_be_checked(make_kernel: MakeKernel, below: str, path: str) -> None:
    """The documents answer HEAD as they answer GET; other methods are told of both."""
    client = make_kernel().client
    got, head = (client.request(method, below + path, absolute=True) for method in ("GET", "HEAD"))
    assert (head.status, head.headers) == (got.status, got.headers)
    refused = client.request("POST", below + path, absolute=True)
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
