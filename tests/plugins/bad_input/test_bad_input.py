"""Whatever is sent, to whichever route: an answer below 500, and a server that goes on."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from prefect_kernel.later import made
from prefect_kernel.testing import KernelUnderTest

DEEP = 100_000
RAW: dict[str, bytes] = {
    "nothing": b"",
    "blank": b" ",
    "half": b'{"a": ',
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "rather deep": b'{"name":' + b"[" * 300 + b"]" * 300 + b"}",
    "NaN": b'{"name": NaN, "limit": Infinity, "offset": -Infinity}',
    "bare NaN": b"NaN",
    "no UTF-8": b'{"name": "\xff\xfe"}',
    "no UTF-8 at all": bytes(range(128, 256)),
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"name": "x"}',
    "NUL": b'{"name": "a\\u0000b"}',
    "a bare NUL": b"\x00",
    "a surrogate": b'{"name": "\\ud800", "tags": ["\\udfff"]}',
    "a key that is a surrogate": b'{"\\ud800": 1}',
    "huge": b'{"limit": ' + b"9" * 400 + b"}",
    "huge for Python": b'{"limit": ' + b"9" * 5000 + b"}",
    "a huge float": b'{"limit": 1e999}',
    "equal keys": b'{"name": "a", "name": 1}',
    "null": b"null",
    "a list": b"[]",
    "a text": b'"x"',
    "a number": b"1",
}
VALUES: list[Any] = [
    2**31,
    2**63,
    -(2**63) - 1,
    2**70,
    1e308,
    "\x00",
    "a\x00b",
    "\ud800",
    "9999-12-31T23:59:59.999999-12:00",
    "0001-01-01T00:00:00+14:00",
    "10000-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    1e18,
    -1e18,
    "P1000000000D",
    {"a": "\x00", "\x00": 1, "\ud800": "\udfff"},
    [{"a": [None, 2**70, "\x00"]}],
    "x" * 100_000,
]
JSON = {"content-type": "application/json"}
SEGMENTS = ("x", "\x00", "\ud800", "💥", "x" * 3000, "../..", "%", "a b")

pytestmark = pytest.mark.timeout(300)


def endpoints(kernel: KernelUnderTest) -> Iterator[Any]:
    """Every endpoint below the API's base path."""
    for group in kernel.kernel.groups:
        if not group.root:
            yield from group.endpoints


def path_of(template: str, segment: str = "x") -> str:
    """The path with its parameters filled in."""

    def fill(part: str) -> str:
        if not part.startswith("{"):
            return part
        return str(uuid.UUID(int=7)) if part.endswith(":uuid}") else segment

    return "/".join(fill(part) for part in template.split("/"))


def fields_of(endpoint: Any) -> list[str]:
    """The members of the body."""
    model = made(endpoint.body)
    if isinstance(model, type) and issubclass(model, BaseModel):
        return [field.alias or name for name, field in model.model_fields.items()]
    return []


def check(kernel: KernelUnderTest, method: str, path: str, what: str, **options: Any) -> str | None:
    """None when the answer is in order."""
    try:
        answer = kernel.client.request(method, path, **options)
    except Exception as error:  # noqa: BLE001 - a server that raises is what is looked for
        return f"{method} {path[:80]}, {what}: raised {error!r}"
    return f"{method} {path[:80]}, {what}: {answer.status} {answer.text[:200]}" if answer.status >= 500 else None


def test_bodies_that_are_none(kernel: KernelUnderTest) -> None:
    """Bytes that are no JSON, or JSON that nobody can store."""
    wrong = []
    for endpoint in endpoints(kernel):
        if endpoint.body is not None:
            path = path_of(endpoint.path)
            headers = {"content-type": "application/json"}
            wrong += [
                check(kernel, endpoint.method, path, name, json=raw, headers=headers) for name, raw in RAW.items()
            ]
    assert [one for one in wrong if one] == []
    assert kernel.client.get("/health").status == 200


def test_fields_out_of_range(kernel: KernelUnderTest) -> None:
    """Each field of each body with numbers, times and texts that are out of every range."""
    wrong = []
    for endpoint in endpoints(kernel):
        path = path_of(endpoint.path)
        for field in fields_of(endpoint):
            for value in VALUES:
                body = json.dumps({field: value}).encode()
                headers = {"content-type": "application/json"}
                wrong.append(check(kernel, endpoint.method, path, f"{field}={value!r:.40}", json=body, headers=headers))
    assert [one for one in wrong if one] == []
    assert kernel.client.get("/health").status == 200


def test_paths_and_queries(kernel: KernelUnderTest) -> None:
    """Path parameters and query strings that no database takes."""
    wrong = []
    for endpoint in endpoints(kernel):
        if "{" in endpoint.path:
            for segment in SEGMENTS:
                path = path_of(endpoint.path.replace(":uuid}", "}"), segment.encode("utf-8", "replace").decode())
                wrong.append(check(kernel, endpoint.method, path, "the path"))
        if endpoint.query is not None:
            for name in endpoint.query.model_fields:
                wrong += [
                    check(kernel, endpoint.method, path_of(endpoint.path), f"?{name}", params={name: value})
                    for value in ("", "\x00", "9" * 30, "-1", "NaN", "10000-01-01", "x" * 5000)
                ]
    assert [one for one in wrong if one] == []
