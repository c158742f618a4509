"""Finding events: every part of the filter, pages, counts, and what is refused."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel.testing import KernelUnderTest

from .support import event, names, send


def find(kernel: KernelUnderTest, filter: dict[str, Any] | None = None, **body: Any) -> list[str]:
    """The names of the events that a filter finds, oldest first."""
    answer = kernel.client.post("/events/filter", json={"filter": {"order": "ASC", **(filter or {})}, **body})
    assert answer.status == 200, answer.text
    found = answer.json()
    assert found["total"] == len(found["events"])
    return names(found["events"])


@pytest.fixture
def shop(kernel: KernelUnderTest) -> KernelUnderTest:
    """A kernel with four events: a, b, c and d, an hour apart, d now."""
    hour, now = timedelta(hours=1), kernel.clock.now()

    def labels(id: str, role: str | None = None, **more: str) -> dict[str, str]:
        return {"prefect.resource.id": id, **({"prefect.resource.role": role} if role else {}), **more}

    send(
        kernel,
        event(
            kernel,
            "shop.a",
            occurred=(now - 3 * hour).isoformat(),
            resource=labels("item.1", colour="red", **{'odd "key': "x"}),
            related=[labels("shelf.1", "shelf", size="big"), labels("item.2", "next")],
            payload={"note": "Fragile 100%"},
        ),
        event(
            kernel,
            "shop.b",
            occurred=(now - 2 * hour).isoformat(),
            resource=labels("item.2", colour="Blue"),
            related=[labels("shelf.2", "shelf", size="small")],
            payload={"note": "under_score"},
        ),
        event(kernel, "Shop.c", occurred=(now - hour).isoformat(), resource=labels("item.1", colour="green")),
        event(kernel, "stock.d", occurred=now.isoformat(), resource=labels("shelf.1"), payload={"note": "ünder"}),
    )
    return kernel


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "abcd"),
    ({"event": {"name": ["shop.a"]}}, "a"),
    ({"event": {"name": ["shop.a", "stock.d", "shop"]}}, "ad"),
    ({"event": {"name": []}}, "abcd"),
    ({"event": {"prefix": ["stock.", "shop.a"]}}, "ad"),
    ({"event": {"exclude_prefix": ["stock."], "exclude_name": ["shop.b", "Shop.c"]}}, "a"),
    ({"event": {"prefix": ["shop."], "name": ["shop.b", "stock.d"]}}, "b"),
    ({"resource": {"id": ["item.1"]}}, "ac"),
    ({"resource": {"id": ["item.1", "shelf.1"]}}, "acd"),
    ({"resource": {"id_prefix": ["item"]}}, "abc"),
    ({"resource": {"labels": {"colour": "red"}}}, "a"),
    ({"resource": {"labels": {"colour": ["red", "gr*n"]}}}, "ac"),
    ({"resource": {"labels": {"colour": "!red"}}}, "bc"),
    ({"resource": {"labels": {"colour": ["!red", "r?d"]}}}, "abc"),
    ({"resource": {"labels": {"colour": "*", "prefect.resource.id": "item.1"}}}, "ac"),
    ({"resource": {"labels": {"prefect.resource.id": ["!item.*"]}}}, "d"),
    ({"resource": {"labels": {'odd "key': "x"}}}, "a"),
    ({"resource": {"labels": {"colour": []}}}, ""),
    ({"resource": {"labels": {"prefect.resource.role": "shelf"}}}, ""),
    ({"resource": {"labels": {}}}, "abcd"),
    ({"resource": {"distinct": True}}, "abd"),
    ({"resource": {"distinct": True, "id_prefix": ["item"]}}, "ab"),
    ({"related": {"id": ["item.2"]}}, "a"),
    ({"related": {"role": ["shelf"]}}, "ab"),
    ({"related": {"resources_in_roles": [["shelf.1", "shelf"], ["item.2", "shelf"]]}}, "a"),
    ({"related": {"labels": {"size": "*"}}}, "ab"),
    ({"related": {"labels": {"prefect.resource.role": ["next"], "prefect.resource.id": "item*"}}}, "a"),
    ({"related": {"labels": {"colour": "*"}}}, ""),
    ({"related": {"role": [""]}}, "abcd"),
    ({"related": {}}, "abcd"),
    ({"related": [{"role": ["shelf"]}, {"id": ["item.2"]}]}, "a"),
    ({"related": []}, "abcd"),
    ({"any_resource": {"id": ["item.2"]}}, "ab"),
    ({"any_resource": {"id_prefix": ["shelf"]}}, "abd"),
    ({"any_resource": {"labels": {"size": "big"}}}, "a"),
    ({"any_resource": [{"id": ["item.2"]}, {"id": ["shelf.2"]}]}, "b"),
    ({"text": {"query": "FRAGILE ünder"}}, "ad"),
    ({"text": {"query": "shop -item.2"}}, "c"),
    ({"text": {"query": "+shelf +score"}}, "b"),
    ({"text": {"query": '"100%"'}}, "a"),
    ({"text": {"query": "r_s"}}, "b"),
    ({"text": {"query": "  "}}, "abcd"),
    ({"event": {"prefix": ["shop.a"]}, "resource": {"id": ["item.1"]}, "related": {"role": ["next"]}}, "a"),
]
"""Filters of the shop's events, and the letters of what they find."""

INSENSITIVE: list[tuple[dict[str, Any], str, str]] = [
    ({"event": {"prefix": ["shop."]}}, "abc", "ab"),
    ({"event": {"exclude_prefix": ["shop."]}}, "d", "cd"),
    ({"resource": {"labels": {"colour": "bl*"}}}, "b", ""),
]
"""Prefixes and patterns are LIKE, which on SQLite does not tell cases of ASCII letters apart: as in the reference."""


def test_what_a_filter_finds(shop: KernelUnderTest) -> None:
    """Each part of a filter, alone and together, finds what the reference finds."""
    letters = {"shop.a": "a", "shop.b": "b", "Shop.c": "c", "stock.d": "d"}
    sqlite = shop.kernel.storage.dialect == "sqlite"
    expected = FILTERS + [(filter, here if sqlite else there) for filter, here, there in INSENSITIVE]
    found = [(filter, "".join(letters[name] for name in find(shop, filter))) for filter, _ in expected]
    assert expected == found


def test_when_it_occurred(shop: KernelUnderTest) -> None:
    """Both ends of the time span belong to it; by default it ends now and begins 180 days before today."""
    now, hour = shop.clock.now(), timedelta(hours=1)
    since, until = (now - 2 * hour).isoformat(), (now - hour).isoformat()
    assert find(shop, {"occurred": {"since": since, "until": until}}) == ["shop.b", "Shop.c"]
    assert find(shop, {"occurred": {"since": until}}) == ["Shop.c", "stock.d"]
    send(shop, event(shop, "later", occurred=(now + hour).isoformat()))
    begin = now.replace(hour=0) - timedelta(days=180)
    send(shop, event(shop, "first", occurred=begin.isoformat()))
    send(shop, event(shop, "before", occurred=(begin - timedelta(microseconds=1)).isoformat()))
    assert find(shop) == ["first", "shop.a", "shop.b", "Shop.c", "stock.d"]
    bounds = {"since": (begin - hour).isoformat(), "until": (now + hour).isoformat()}
    assert len(find(shop, {"occurred": bounds})) == 7
    related = find(shop, {"occurred": {"since": since}, "any_resource": {"id": ["shelf.1"]}})
    assert related == ["stock.d"]


def test_ids_bound_the_page(shop: KernelUnderTest) -> None:
    """A filter by ids finds these."""
    events = shop.client.post("/events/filter", json={}).json()["events"]
    wanted = [events[0]["id"], events[2]["id"], "00000000-0000-4000-8000-000000000000"]
    assert find(shop, {"id": {"id": wanted}}) == ["shop.b", "stock.d"]
    assert find(shop, {"id": {"id": []}}) == ["shop.a", "shop.b", "Shop.c", "stock.d"]


def test_the_newest_come_first(shop: KernelUnderTest) -> None:
    """Without an order the newest event is the first; distinct events are then each resource's newest."""
    answer = shop.client.post("/events/filter", json={}).json()
    assert names(answer["events"]) == ["stock.d", "Shop.c", "shop.b", "shop.a"]
    answer = shop.client.post("/events/filter", json={"filter": {"resource": {"distinct": True}}}).json()
    assert (names(answer["events"]), answer["total"]) == (["stock.d", "Shop.c", "shop.b"], 3)


def follow(kernel: KernelUnderTest, url: str) -> dict[str, Any]:
    """The page behind a link."""
    path, _, query = url.partition("?")
    token = dict([query.split("=", 1)])
    answer = kernel.client.get(path.removeprefix("http://testserver"), params=token, absolute=True)
    assert answer.status == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def test_pages_hold_every_event_once(kernel: KernelUnderTest) -> None:
    """Following `next_page` gives each event once, though all occurred at once; the last page has no link.

    The total is that of the first page, and events that come in between do not shift the pages.
    """
    send(kernel, *(event(kernel, f"test.{n}") for n in range(23)), event(kernel, "other"))
    body = {"filter": {"event": {"prefix": ["test."]}}, "limit": 10}
    page = kernel.client.post("/events/filter", json=body).json()
    pages = [page]
    kernel.clock.advance(seconds=1)
    send(kernel, event(kernel, "test.new"))
    while pages[-1]["next_page"]:
        assert pages[-1]["next_page"].startswith("http://testserver/api/events/filter/next?page-token=")
        pages.append(follow(kernel, pages[-1]["next_page"]))
    assert [len(page["events"]) for page in pages] == [10, 10, 3]
    assert {page["total"] for page in pages} == {23}
    assert {f"test.{n}" for n in range(23)} == {name for page in pages for name in names(page["events"])}


def test_a_page_of_nothing(kernel: KernelUnderTest) -> None:
    """Limit 0 gives the total alone."""
    send(kernel, event(kernel), event(kernel))
    answer = kernel.client.post("/events/filter", json={"limit": 0}).json()
    assert (answer["events"], answer["total"]) == ([], 2)


def test_a_token_that_is_none(kernel: KernelUnderTest) -> None:
    """A token that the server has not made is answered with 403."""
    twice = base64.b64encode(base64.b64encode(b"{}")).decode()
    for token in ("", "%%%", "Zm9v", twice, base64.b64encode(b"\xff").decode()):
        answer = kernel.client.get("/events/filter/next", params={"page-token": token})
        assert (answer.status, answer.json()) == (403, {"detail": "Forbidden"})


def test_a_token_cannot_ask_for_more_than_a_page(kernel: KernelUnderTest) -> None:
    """The size of a page in a token is bounded too."""
    position = {"filter": {}, "count": 10, "page_size": 5000, "offset": 0}
    token = base64.b64encode(base64.b64encode(json.dumps(position).encode())).decode()
    assert kernel.client.get("/events/filter/next", params={"page-token": token}).status == 403


REFUSED: list[tuple[dict[str, Any], list[Any], str | None]] = [
    ({"limit": 51}, ["limit"], "Input should be less than or equal to 50"),
    ({"limit": -1}, ["limit"], "Input should be greater than or equal to 0"),
    ({"filter": {"colour": 1}}, ["filter", "colour"], "Extra inputs are not permitted"),
    ({"filter": {"event": {"x": 1}}}, ["filter", "event", "x"], "Extra inputs are not permitted"),
    (
        {"filter": {"related": [{"x": 1}]}},
        ["filter", "related", "EventRelatedFilter"],
        "Input should be a valid dictionary or object to extract fields from",
    ),
    ({"filter": {"occurred": {"since": "soon"}}}, ["filter", "occurred", "since"], None),
    ({"filter": {"occurred": {"since": None}}}, ["filter", "occurred", "since"], None),
    ({"filter": {"id": {"id": ["x"]}}}, ["filter", "id", "id", 0], None),
    ({"filter": {"text": {"query": "x" * 201}}}, ["filter", "text", "query"], None),
    ({"filter": {"order": "asc"}}, ["filter", "order"], "Input should be 'ASC' or 'DESC'"),
]


def test_what_is_refused(kernel: KernelUnderTest) -> None:
    """Unknown keys and wrong values are answered with 422, saying where."""
    for body, loc, message in REFUSED:
        answer = kernel.client.post("/events/filter", json=body)
        assert answer.status == 422, body
        detail = answer.json()["exception_detail"][0]
        assert (body, ["body", *loc]) == (body, detail["loc"])
        assert message in (None, detail["msg"])


# ---------------------------------------------------------------- counts
def count(kernel: KernelUnderTest, countable: str, filter: dict[str, Any], **body: Any) -> list[dict[str, Any]]:
    """What POST /events/count-by/… answers."""
    answer = kernel.client.post(f"/events/count-by/{countable}", json={"filter": filter, **body})
    assert answer.status == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def test_events_by_resource(shop: KernelUnderTest) -> None:
    """Resources with their counts, the most frequent first, each called what its latest event calls it."""
    shop.clock.advance(minutes=1)
    resource = {"prefect.resource.id": "item.1", "prefect.resource.name": "Teapot"}
    send(shop, event(shop, "shop.e", resource=resource))
    found = count(shop, "resource", {})
    assert [(one["value"], one["label"], one["count"]) for one in found] == [
        ("item.1", "Teapot", 3),
        ("item.2", "item.2", 1),
        ("shelf.1", "shelf.1", 1),
    ]
    assert (found[0]["start_time"], found[0]["end_time"]) == ("2030-01-01T09:00:00Z", "2030-01-01T12:01:00Z")


def test_events_by_name(shop: KernelUnderTest) -> None:
    """Names with their counts, the most frequent first, then by name."""
    send(shop, event(shop, "stock.d"))
    found = count(shop, "event", {"resource": {"id_prefix": ["item", "test", "shelf"]}})
    assert [(one["label"], one["count"]) for one in found if one["value"] != "Shop.c"] == [
        ("stock.d", 2),
        ("shop.a", 1),
        ("shop.b", 1),
    ]


def test_events_by_name_in_a_time(shop: KernelUnderTest) -> None:
    """Names with events in that time only, and the first and last of these; a count by name says the same of each."""
    first = shop.clock.now()
    late = [shop.clock.advance(seconds=1) for _ in range(3)]
    send(shop, *(event(shop, "till.open", occurred=moment.isoformat()) for moment in late), event(shop, "shop.a"))
    within = {"occurred": {"since": late[1].isoformat(), "until": (late[2] + timedelta(seconds=9)).isoformat()}}
    found = {one["value"]: one for one in count(shop, "event", within)}
    assert {name: one["count"] for name, one in found.items()} == {"till.open": 2, "shop.a": 1}
    assert found["till.open"]["start_time"] == late[1].isoformat().replace("+00:00", "Z")
    everything = {"occurred": {"since": (first - timedelta(days=1)).isoformat()}}
    of_all = count(shop, "event", everything)
    assert of_all == sorted(of_all, key=lambda one: (-one["count"], one["value"]))
    for one in of_all:
        assert count(shop, "event", {**everything, "event": {"name": [one["value"]]}}) == [one]


def test_events_by_time(shop: KernelUnderTest) -> None:
    """Every span from the first to the last is there, with its events; an end in the future is cut to the unit."""
    since = (shop.clock.now() - timedelta(hours=3)).isoformat()
    until = (shop.clock.now() + timedelta(hours=5)).isoformat()
    bounds = {"occurred": {"since": since, "until": until}}
    found = count(shop, "time", bounds, time_unit="hour", time_interval=0.5)
    assert found == count(shop, "day", bounds, time_unit="hour", time_interval=0.5)
    assert [one["count"] for one in found] == [1, 0, 1, 0, 1, 0, 1, 0]
    assert [one["value"] for one in found] == [str(n) for n in range(8)]
    assert found[1] == {
        "value": "1",
        "label": "2030-01-01T09:30:00+00:00",
        "count": 0,
        "start_time": "2030-01-01T09:30:00Z",
        "end_time": "2030-01-01T09:59:59.999999Z",
    }


def test_spans_begin_at_the_pivot(kernel: KernelUnderTest) -> None:
    """Spans are cut from Monday, 1 April 2024 on, whatever their length, also below a second."""
    now = kernel.clock.now()
    send(kernel, event(kernel), event(kernel, occurred=(now + timedelta(milliseconds=200)).isoformat()))
    kernel.clock.advance(milliseconds=900)
    bounds = {"since": now.isoformat(), "until": (now + timedelta(milliseconds=400)).isoformat()}
    first: dict[tuple[str, float], str] = {
        ("week", 1): "2029-12-31T00:00:00+00:00",
        ("day", 1.0): "2030-01-01T00:00:00+00:00",
        ("minute", 7): "2030-01-01T11:56:00+00:00",
        ("second", 0.25): "2030-01-01T12:00:00+00:00",
    }
    for (unit, interval), label in first.items():
        found = count(kernel, "time", {"occurred": bounds}, time_unit=unit, time_interval=interval)[0]
        assert (label, 2) == (found["label"], found["count"])


def test_too_many_spans(kernel: KernelUnderTest) -> None:
    """More than 1000 spans are refused, whatever is counted by."""
    for countable in ("time", "day", "event", "resource"):
        answer = kernel.client.post(f"/events/count-by/{countable}", json={"filter": {}, "time_unit": "minute"})
        assert answer.status == 422
        assert answer.json()["detail"].startswith("The given interval would create 259920 buckets, which is too many.")


def test_spans_that_no_calendar_holds(kernel: KernelUnderTest) -> None:
    """An interval of ages is refused where it cannot be counted with, whatever is counted by."""
    for countable in ("time", "day", "event", "resource"):
        for interval in (5.6e307, 1e12):
            query = {"filter": {}, "time_unit": "day", "time_interval": interval}
            answer = kernel.client.post(f"/events/count-by/{countable}", json=query)
            assert (answer.status, answer.json()["detail"][:34]) == (422, "The given interval is too long, or")


def test_what_cannot_be_counted_by(kernel: KernelUnderTest) -> None:
    """Another countable is answered with 422 about the path; a filter must be given."""
    answer = kernel.client.post("/events/count-by/colour", json={"filter": {}})
    assert (answer.status, answer.json()["exception_detail"][0]["loc"]) == (422, ["path", "countable"])
    answer = kernel.client.post("/events/count-by/event", json={})
    assert (answer.status, answer.json()["exception_detail"][0]["loc"]) == (422, ["body", "filter"])
