"""Bad input, the same for every route: what a body, a field, an id or a query can be that it should not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..script import MISSING, Script

# Where a query without a filter shows what other cases have left: not compared.
OTHERS_ROWS = ("body[]", "body.length", "body.results", "body.count", "body.pages", "=body", "headers.vary")
LONG = "x" * 5000
WRONG: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 2**70, "", "x", "1", "true", "null", LONG, "2026-01-01", "not-a-uuid", "größe ✓", "a/b",
    "a%b", [], [1], ["a"], [None], [[]], {}, {"a": 1}, {"a": {"b": []}}, {"": None},
)  # fmt: skip
NO_ID = "00000000-0000-4000-8000-000000000000"
BAD_IDS = (
    "x", "1", "%20", NO_ID[:-1], NO_ID + "0", NO_ID.replace("-", ""), "{" + NO_ID + "}", NO_ID.replace("-", "_"),
    "urn:uuid:" + NO_ID, "null",
)  # fmt: skip


def bad_bodies(s: Script, method: str, path: str, good: Any, **options: Any) -> None:
    """Bodies that are not what they should be, before any field is looked at."""
    for body in (None, True, 1, "text", [], [good], {}, [[]], ""):
        s.request(method, path, body, **options)
    s.request(method, path, **options)
    raw = (
        b"", b"{", b"{}", b"[]", b"{'a': 1}", b'{"a": 1,}', b'{"a": NaN}', b'{"a": Infinity}', b"\xff\xfe", b"null ",
        b'{"a": "\\ud800"}', b"\xef\xbb\xbf{}", b'{"a": 1} x', b"nul", b'{"a":1,"a":2}', b"   ", b'"',
    )  # fmt: skip
    for text in raw:
        s.request(method, path, raw=text, headers={"content-type": "application/json"}, **options)


def bad_content_types(s: Script, method: str, path: str, body: str, **options: Any) -> None:
    """One good body under several content types; some of them make it JSON and some don't."""
    for content_type in (
        "", "application/json; charset=utf-8", "application/json;charset=latin-1", "application/vnd.api+json",
        "text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data", "json",
        "APPLICATION/JSON", "application/octet-stream", "application/json, text/plain",
    ):  # fmt: skip
        s.request(method, path, raw=body, headers={"content-type": content_type}, **options)


def bad_fields(
    s: Script, method: str, path: str, good: Mapping[str, Any], fields: Sequence[str], **options: Any
) -> None:
    """Each field with each wrong value, each field missing, and fields nobody knows."""
    for field in fields:
        for value in WRONG:
            s.request(method, path, {**good, field: value}, **options)
        if field in good:
            s.request(method, path, {name: item for name, item in good.items() if name != field}, **options)
    s.request(method, path, {**good, "unknown": 1}, **options)
    s.request(method, path, {**good, "unknown": None, "": 2, "another": {"a": []}}, **options)


def bad_ids(s: Script, method: str, template: str, body: Any = MISSING) -> None:
    """Ids in the path that are none, and one that nothing has."""
    for bad in (*BAD_IDS, NO_ID, NO_ID.upper()):
        s.request(method, template.format(id=bad), body)


def wrong_methods(s: Script, path: str, allowed: Sequence[str]) -> None:
    """Methods that a path does not have, with and without a slash at its end."""
    other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND"):
        if method not in allowed:
            s.request(method, path)
        s.request(method, other)


def paging(s: Script, path: str, body: Mapping[str, Any], *, page: bool = False) -> None:
    """Limits, offsets and pages inside, at and outside of their bounds."""
    for limit in (0, 1, 2, 199, 200, 201, -1, 10**20, None, "5", "x", 1.0, 1.5, True, [], {}):
        s.post(path, {**body, "limit": limit})
    for place in (0, 1, 3, 10**6, 2**63, -1, None, "1", "x", 1.0, 0.5, False, []):
        s.post(path, {**body, "page" if page else "offset": place, "limit": 2})


def filter_bodies(operators: Mapping[str, Mapping[str, Sequence[Any]]]) -> Iterator[dict[str, Any]]:
    """For each field and operator of a filter object: each good value, and each wrong one."""
    for field, members in operators.items():
        for operator, values in members.items():
            for value in (*values, *WRONG):
                yield {field: {operator: value}}
        for value in (None, {}, [], "x", 1, {"unknown_": 1}, {"operator": "or_"}, {"operator": "nor_"}):
            yield {field: value}
