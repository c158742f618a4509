"""What a rule of a third party may leave on its copy of a move: anything else aborts the transition.

Only what a hook has changed is looked at, so rules that merely look cost next to nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from ..errors import KernelError
from ..ids import uuid7
from ..sql import Call
from ..sql.types import checked_json, json_to_text
from ..transition import ABORT, ACCEPT, REJECT, STATE_TYPES, WAIT, Move, State

_VERDICTS = {ACCEPT: "accept_details", REJECT: "reject_details", ABORT: "abort_details", WAIT: "wait_details"}
_NOTHING: Any = object()
_LONG = 2**53
"""Seconds that clients can still count exactly."""


def _text(value: Any) -> bool:
    """Text that both databases hold: no halves of characters, no NUL."""
    return isinstance(value, str) and "\0" not in value and value.encode("utf-8", "ignore").decode() == value


def _prose(value: Any) -> bool:
    """Text for people; a database that holds no NUL leaves it out."""
    return isinstance(value, str) and _text(value.replace("\0", ""))


def _id(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(UUID(value)) == value
    except ValueError:
        return False


def _time(value: Any) -> bool:
    return isinstance(value, datetime) and value.utcoffset() is not None


def _json(value: Any) -> bool:
    try:
        checked_json(json_to_text(value))
    except (TypeError, ValueError, RecursionError, KernelError):
        return False
    return True


def _object(value: Any) -> bool:
    return isinstance(value, dict) and _json(value)


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


_DETAILS = {
    **dict.fromkeys(("flow_run_id", "task_run_id", "child_flow_run_id", "transition_id", "task_parameters_id"), _id),
    "deployment_concurrency_lease_id": _id,
    **dict.fromkeys(("scheduled_time", "cache_expiration", "pause_timeout"), _time),
    **dict.fromkeys(("deferred", "untrackable_result", "pause_reschedule", "refresh_cache", "retriable"), _truth),
    **dict.fromkeys(("cache_key", "pause_key", "traceparent"), _text),
    "run_input_keyset": _object,
}
"""What a detail of a state is, when it is something."""
_NEVER_NONE = {"deferred", "untrackable_result", "pause_reschedule"}
_TIMES = {
    "created", "end_time", "expected_start_time", "next_scheduled_start_time", "start_time", "state_timestamp",
    "updated",
}  # fmt: skip
"""Columns of runs that are points in time."""


class HookFailed(KernelError):
    """A hook did something that it must not do."""


def check(move: Move, other: Any) -> None:
    """Raise HookFailed when a hook has left its copy of a move (whose attributes may be anything now) unsound."""
    for what in ("proposed", "validated"):
        state = getattr(other, what)
        if state is not None:
            _check_state(what, state, getattr(move, what), move)
    _check_verdict(move, other)
    _check_run(move.run, other.run)
    if not isinstance(other.context, dict):
        raise HookFailed(f"it left {other.context!r} as the context")
    for what in ("writes", "events", "on_commit"):
        if not isinstance(getattr(other, what), list) or len(getattr(other, what)) < len(getattr(move, what)):
            raise HookFailed(f"it took something out of `{what}`, or put something else in its place")
    for write in other.writes[len(move.writes) :]:
        if not (isinstance(write, tuple) and isinstance(write[0], Call) and isinstance(write[1], int | None)):
            raise HookFailed(f"it declared {write!r} as a write")
    other.events[len(move.events) :] = [_event(event, other) for event in other.events[len(move.events) :]]
    if not all(callable(action) for action in other.on_commit):
        raise HookFailed("it left something to do after the commit that cannot be called")


def _check_state(what: str, state: Any, before: State | None, move: Move) -> None:
    if not isinstance(state, State) or type(state.details) is not dict or state.type not in STATE_TYPES:
        raise HookFailed(f"it left {state!r} as the {what} state")
    if not all(isinstance(text, str) for text in (state.name, state.message or "", *state.details)):
        raise HookFailed(f"it left a {what} state whose name, message or keys of details are not text")

    def differs(name: str) -> bool:
        return before is None or getattr(state, name) is not getattr(before, name)

    for name, fits in (("id", _id), ("name", _text), ("timestamp", _time), ("message", _prose), ("data", _json)):
        value = getattr(state, name)
        if differs(name) and not fits(value) and not (name in ("message", "data") and value is None):
            raise HookFailed(f"it left a {what} state whose {name} is {value!r}")
    if move.initial is not None and state.id == move.initial.id:
        raise HookFailed(f"it left the state that the run is in as the {what} state; make a new one (`fresh_copy`)")
    known = {} if before is None else before.details
    for name, value in state.details.items():
        if value is not known.get(name, _NOTHING) and not _sound_detail(name, value):
            raise HookFailed(f"it left a {what} state with {value!r} as its detail {name}")


def _sound_detail(name: str, value: Any) -> bool:
    return name not in _NEVER_NONE if value is None else _DETAILS.get(name, _json)(value)


def _check_verdict(move: Move, other: Any) -> None:
    details = other.details
    if other.status not in _VERDICTS or not isinstance(details, dict):
        raise HookFailed(f"it left {other.status!r} as the verdict")
    if details.get("type") != _VERDICTS[other.status]:
        raise HookFailed(f"it left {other.status!r} as the verdict, with details of another one")
    reason = details.get("reason")
    if not (reason is None or _prose(reason)):
        raise HookFailed("it gave a reason that is not text")
    if details is not move.details and details != move.details and not _json(details):
        raise HookFailed(f"it left {details!r} as details of the verdict")
    delay = details.get("delay_seconds")
    if other.status == WAIT and not (type(delay) is int and 0 <= delay <= _LONG):
        raise HookFailed("it asked to wait, but not for a number of seconds")
    if other.status == ACCEPT and other.proposed is None and move.proposed is not None:
        raise HookFailed("it took the proposed state away without a verdict; say `move.abort`, `reject` or `wait`")


def _check_run(run: dict[str, Any], left: Any) -> None:
    if not isinstance(left, dict) or left.keys() != run.keys() or left["id"] != run["id"]:
        raise HookFailed("it left another run, or a run with other columns")
    for name, value in left.items():
        before = run[name]
        if value is not before and not _sound_column(name, value, before):
            raise HookFailed(f"it left a run whose {name} is {value!r}")


def _sound_column(name: str, value: Any, before: Any) -> bool:
    """Whether a column may have this value, as far as its name and its last value tell; the database knows the rest."""
    if value is None:
        return True
    if isinstance(value, dict | list):  # copies, which are usually equal
        return value == before or (isinstance(before, type(value) | None) and _json(value))
    if name in _TIMES:
        return _time(value)
    if isinstance(value, str):
        return isinstance(before, str | None) and _prose(value)
    same = before is None or type(value) is type(before)
    return same and isinstance(value, int | float | datetime | timedelta)


def _event(event: Any, move: Any) -> dict[str, Any]:
    """An event with what was left out of it: an id, a time, and what it is about, which is the run."""
    if not isinstance(event, dict) or not _text(event.get("event")) or not event["event"]:
        raise HookFailed(f"it emitted {event!r}, which is no event")
    kind = "flow-run" if move.kind == "flow_run" else "task-run"
    about = {"prefect.resource.id": f"prefect.{kind}.{move.run['id']}", "prefect.resource.name": move.run["name"]}
    whole = {"id": uuid7(), "occurred": move.now, "resource": about, "related": [], "payload": {}, **event}
    resource, related = whole["resource"], whole["related"]
    labels = [resource, *related] if isinstance(related, list) else [None]
    if not all(isinstance(each, dict) and _text(each.get("prefect.resource.id")) and _json(each) for each in labels):
        raise HookFailed(f"it emitted {event!r}, whose resources are not named by `prefect.resource.id`")
    follows = whole.get("follows")
    if not (_id(whole["id"]) and _time(whole["occurred"]) and (follows is None or _id(follows))):
        raise HookFailed(f"it emitted {event!r}, whose id, time or `follows` is none")
    if not _object(whole["payload"]):
        raise HookFailed(f"it emitted {event!r}, whose payload is no JSON")
    return whole
