"""States as they are stored: state_details as a JSON object, data as a result artifact."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect_kernel.transition import DETAIL_DEFAULTS, State

TIMES = ("scheduled_time", "cache_expiration", "pause_timeout")
"""Members of state_details that are points in time."""


def iso(moment: datetime) -> str:
    """RFC 3339 as pydantic writes it: UTC as `Z`, another offset as it is, a zero fraction not at all."""
    if moment.tzinfo is not UTC and moment.utcoffset():
        return moment.isoformat()
    return moment.replace(tzinfo=None).isoformat() + "Z"


def details_to_json(details: dict[str, Any]) -> dict[str, Any]:
    """state_details for storing: every key, times as text."""
    out = dict(details)
    for key in TIMES:
        value = out.get(key)
        if isinstance(value, datetime):
            out[key] = iso(value)
    return out


def details_from_json(stored: dict[str, Any] | None) -> dict[str, Any]:
    """Stored state_details with every key, times as datetimes."""
    out = {**DETAIL_DEFAULTS, **stored} if stored else dict(DETAIL_DEFAULTS)
    for key in TIMES:
        value = out[key]
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            out[key] = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return out


def persisted(data: Any) -> bool:
    """Whether a state's data is a result that is kept (anything but null and `{"type": "unpersisted"}`)."""
    return data is not None and not (isinstance(data, dict) and data.get("type") == "unpersisted")


def state_from_row(
    id: str | None, type: str, name: str, timestamp: datetime, message: str | None, details: Any, data: Any
) -> State | None:
    """A State from the columns of a joined row; None when the join found nothing."""
    if id is None:
        return None
    state = State.__new__(State)  # the row has everything: no defaults to make
    state.id, state.type, state.name, state.timestamp, state.message = id, type, name, timestamp, message
    state.details, state.data = details_from_json(details), data
    return state
