"""Events as they come in, over `/events/out`, after those of the last minutes."""

from __future__ import annotations

from typing import Any

from ..script import Script, sequence

GROUP = "events"
PATH = "/events/out"
READY = ("wait", 0.7)
TIMES = tuple(f"body.received[].event.{name}" for name in ("received", "recorded"))


def _event(s: Script, number: int, name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": s.uuid(f"event {number}"), "event": name, "occurred": s.now(number / 10 - 60),
        "resource": {"prefect.resource.id": f"thing.{s.name('mine')}", "colour": "blue" if number % 2 else "red"},
        "related": [], "payload": {"number": number}, **more,
    }  # fmt: skip


def _post(*events: dict[str, Any]) -> tuple[Any, ...]:
    return ("request", "POST", "/events", list(events))


def _listen(s: Script, filter_: dict[str, Any], *talk: tuple[Any, ...], **more: Any) -> None:
    mine = {"resource": {"id_prefix": [f"thing.{s.name('mine')}"]}, **filter_}
    s.socket(PATH, ("send", {"type": "filter", "filter": mine, **more}), *talk, ignore=TIMES)


@sequence
def events_as_they_come(s: Script) -> None:
    """Those of before, in order of their time, then those that come in."""
    s.post("/events", [_event(s, 2, "a"), _event(s, 1, "b"), _event(s, 3, "a")])
    mine = {"resource": {"id_prefix": [f"thing.{s.name('mine')}"]}}
    stored = lambda number: s.post(  # noqa: E731 - before the next conversation begins with what there is
        "/events/filter", {"filter": mine}, until=("total", number), ignore=("body.events[]",)
    )
    stored(3)
    _listen(s, {}, ("receive", 3), READY, _post(_event(s, 4, "c")), ("receive", 1), ("silence", 0.4))
    stored(4)
    _listen(s, {}, READY, _post(_event(s, 5, "c")), ("receive", 1), ("silence", 0.4), backfill=False)
    stored(5)
    _listen(s, {"event": {"name": ["a"]}}, ("receive", 2), READY, _post(_event(s, 6, "b"), _event(s, 7, "a")),
            ("receive", 1), ("silence", 0.4))  # fmt: skip
    stored(7)
    _listen(s, {"event": {"prefix": ["b"]}}, ("receive", 2), ("silence", 0.4))
    blue = {"resource": {"id_prefix": [f"thing.{s.name('mine')}"], "labels": {"colour": ["blue"]}}}
    _listen(s, blue, ("receive", 4), READY, _post(_event(s, 8, "x"), _event(s, 9, "x")), ("receive", 1),
            ("silence", 0.4))  # fmt: skip


@sequence
def first_frames(s: Script) -> None:
    """First frames that are no filter."""
    for frame in (
        "x", "{}", "[]", {"type": "filter"}, {"type": "x", "filter": {}}, {"type": "filter", "filter": None},
        {"type": "filter", "filter": []}, {"type": "filter", "filter": {"unknown": 1}}, {"type": None, "filter": {}},
        {"type": "filter", "filter": {"occurred": "x"}}, {"type": "filter", "filter": {"event": {"name": 1}}},
        {"type": "filter", "filter": {"resource": []}},
    ):  # fmt: skip
        s.socket(PATH, ("send", frame), ("silence", 0.5))
    s.socket(PATH, ("send", {"type": "x"}), ("receive", 1), auth=False)
    nobody = {"type": "filter", "filter": {"event": {"name": [s.name("nobody")]}}}
    s.socket(PATH, ("send", nobody), ("silence", 0.3), subprotocol=None)
    s.socket(PATH, ("send", nobody), ("silence", 0.3), subprotocol="other")
