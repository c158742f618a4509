"""Bodies and query strings: what is taken, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from prefect_kernel import errors
from prefect_kernel.later import Later
from prefect_kernel.web.validation import BodyReader, QueryReader, is_json, parse_json


class Thing(BaseModel):
    """A body."""

    model_config = ConfigDict(extra="forbid")

    name: str
    size: int = 1


class Parts(BaseModel):
    """Several body parameters."""

    thing: Thing | None = None
    limit: int = 200


class Needed(BaseModel):
    """Body parameters one of which must be there."""

    thing: Thing


class Asked(BaseModel):
    """A query string."""

    tag: list[str] = []
    limit: int = 10


def refused(reader: Any, *arguments: Any) -> list[tuple[str, tuple[Any, ...]]]:
    """(type, place) of each error."""
    with pytest.raises(errors.InvalidRequest) as caught:
        reader(*arguments)
    return [(one["type"], tuple(one["loc"])) for one in caught.value.errors]


@pytest.mark.parametrize(
    ("content", "place", "what"),
    [
        (b"NaN", 0, "NaN"),
        (b'{"a": [1, -Infinity]}', 10, "-Infinity"),
        (b'{"NaN": "Infinity\\"", "\xc3\xbc": 1e999, "b": NaN}', 27, "1e999"),
        (b'{"name": "\\ud800", "size": NaN}', 27, "NaN"),
    ],
)
def test_numbers_that_are_not_finite(content: bytes, place: int, what: str) -> None:
    """They are no JSON; the first of them is told of, where it stands."""
    with pytest.raises(errors.InvalidRequest) as caught:
        parse_json(content)
    [told] = caught.value.errors
    assert (told["type"], told["loc"]) == ("json_invalid", ["body", place])
    assert told["ctx"] == {"error": f"{what} is not a finite number"}
    assert parse_json(b'{"NaN": [1e300, "\\ud800", "Infinity"]}') == {"NaN": [1e300, "\ud800", "Infinity"]}


@pytest.mark.parametrize("said", ["application/json", "application/json; charset=utf-8", "application/ld+json", None])
def test_what_counts_as_json(said: str | None) -> None:
    """Also a body of which nothing is said."""
    assert is_json(said)
    assert BodyReader(Thing, embed=False)(b'{"name": "a"}', said) == Thing(name="a")


@pytest.mark.parametrize("said", ["text/plain", "application/x-www-form-urlencoded", "json", ""])
def test_other_bodies_are_no_objects(said: str) -> None:
    """They are refused as a value of the wrong type, not read."""
    assert not is_json(said)
    assert refused(BodyReader(Thing, embed=False), b'{"name": "a"}', said)[0][1] == ("body",)


def test_errors_say_where() -> None:
    """Each field by its place in the body, all at once."""
    said = refused(BodyReader(Thing, embed=False), b'{"size": "x", "more": 1}', None)
    assert sorted(said) == [
        ("extra_forbidden", ("body", "more")),
        ("int_parsing", ("body", "size")),
        ("missing", ("body", "name")),
    ]


@pytest.mark.parametrize("content", [b"", b"null"])
def test_a_body_that_is_missing(content: bytes) -> None:
    """No body, or null for one, is a body that is missing."""
    assert refused(BodyReader(Thing, embed=False), content, None) == [("missing", ("body",))]


def test_json_that_is_none() -> None:
    """The error has the character at which it went wrong."""
    assert refused(BodyReader(Thing, embed=False), b'{"name": ', None) == [("json_invalid", ("body", 9))]


@pytest.mark.parametrize("content", [b"\xff\xfe{", b"[" * 100_000, b'{"name": ' + b"9" * 5000 + b"}"])
def test_bodies_that_no_parser_takes(content: bytes) -> None:
    """Not UTF-8, nested without end, a number of thousands of digits: 400, not an internal error."""
    with pytest.raises((errors.BadRequest, errors.InvalidRequest)):
        BodyReader(Thing, embed=False)(content, None)


def test_numbers_keep_their_digits() -> None:
    """Beyond 64 bits, too."""
    assert parse_json(b"[18446744073709551616, 1.5]") == [18446744073709551616, 1.5]


@pytest.mark.parametrize("content", [b"", b"null", b"{}", b'{"thing": null, "limit": null}', b'{"other": 1}'])
def test_parameters_may_be_left_out(content: bytes) -> None:
    """Or be null; what is not declared is ignored."""
    assert BodyReader(Parts, embed=True)(content, None) == Parts()


def test_within_a_parameter_nothing_is_ignored() -> None:
    """Its type decides."""
    said = refused(BodyReader(Parts, embed=True), b'{"thing": {"name": "a", "more": 1}}', None)
    assert said == [("extra_forbidden", ("body", "thing", "more"))]


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"{}"])
def test_a_parameter_that_must_be_there(content: bytes) -> None:
    """Is named, whatever came instead of an object."""
    assert refused(BodyReader(Needed, embed=True), content, None) == [("missing", ("body", "thing"))]


def test_a_query_string() -> None:
    """Repeated keys make a list where one is declared; elsewhere the last one counts."""
    read = QueryReader(Asked)
    assert read([("tag", "a"), ("limit", "3"), ("tag", "b"), ("limit", "4")]) == Asked(tag=["a", "b"], limit=4)
    assert read([]) == Asked()
    assert refused(read, [("limit", "many")]) == [("int_parsing", ("query", "limit"))]


def test_bodies_that_are_made_later() -> None:
    """With the first request that has one, and once; before that nothing is."""
    asked: list[str] = []

    def make() -> Any:
        asked.append("made")
        return Parts

    later = Later(make)
    readers = [BodyReader(later, embed=True), BodyReader(later, embed=True)]
    assert asked == []
    assert refused(readers[0], b"[]", None) == [("missing", ("body", "thing")), ("missing", ("body", "limit"))]
    assert readers[1](b'{"limit": 3}', None) == readers[0](b'{"limit": 3}', None) == Parts(limit=3)
    assert asked == ["made"]
    assert readers[0].type is later.type is Parts
    with pytest.raises(AttributeError):
        readers[0].nothing  # noqa: B018
