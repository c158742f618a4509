"""States as clients see them, nested in their runs or alone."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa

from prefect_kernel.sql.match import document_text
from prefect_kernel.sql.types import JSON, Timestamp, json_from_text
from prefect_kernel.transition import DETAIL_DEFAULTS, State
from prefect_kernel.wire import Derived, Field, Skip, Wire, json_text

from ..artifacts.tables import artifact
from .stored import TIMES, details_to_json, iso, persisted

_FIRST = '{"flow_run_id": '
_LAST = '"deployment_concurrency_lease_id": '
_KEYS = len(DETAIL_DEFAULTS)


def _time(value: str) -> str:
    """A point in time as pydantic writes it: UTC as `Z`, another offset as it was given."""
    if value[-1:] == "Z":
        return value
    if value[-6:] == "+00:00" and ".000000" not in value:
        return value[:-6] + "Z"
    moment = datetime.fromisoformat(value)
    return iso(moment) if not moment.utcoffset() else moment.isoformat()


@lru_cache(256)
def _template(given: tuple[str, ...]) -> tuple[list[tuple[str, str]], str]:
    """For stored keys: each known one in the order of the wire with the text before its value, and the text at the end.

    The texts hold the defaults of the keys that are not stored.
    """
    parts, text = [], "{"
    for key, default in DETAIL_DEFAULTS.items():
        text += f'"{key}":'
        if key in given:
            parts.append((key, text))
            text = ","
        else:
            text += json_text(default) + ","
    return parts, text.removesuffix(",") + "}"


def _complete(type_: str, text: str, now: datetime) -> str:
    """state_details with every key in the order of the wire."""
    given = json_from_text(text)
    if type_ == "SCHEDULED" and given.get("scheduled_time") is None:
        given["scheduled_time"] = iso(now)  # the reference's model makes it so when it reads such a row
    for key in TIMES:
        if key in given and given[key] is not None:
            given[key] = _time(given[key])
    if len(given) == _KEYS and given.keys() == DETAIL_DEFAULTS.keys():
        return orjson.dumps({**DETAIL_DEFAULTS, **given}).decode()
    parts, out = _template(tuple(given))
    return "".join([before + json_text(given[key]) for key, before in parts]) + out


def _details_sqlite(type_: str, text: str, now: datetime) -> str:
    """Passed through when it is as the kernel and Prefect 3.8.8 write it: all keys, in order, UTC as `Z`."""
    if (
        text.startswith(_FIRST)
        and text.count('": ') == _KEYS
        and _LAST in text
        and "+00:00" not in text
        and "\\" not in text
        and (type_ != "SCHEDULED" or '"scheduled_time": null' not in text)
    ):
        return text
    return _complete(type_, text, now)


STATE_WIRE = Wire(
    [
        Field("id", "word"),
        Field("type", "word"),
        Field("name", "text"),
        Field("timestamp", "time"),
        Field("message", "text"),
        Field("data", "json"),
        Skip(1, "details"),
        Derived("state_details", ("type", "details"), _details_sqlite, _complete),
    ]
)


_FALSY = [sa.literal_column(f"'{text}'") for text in ("{}", "[]", '""', "0", "false", "null")]


def state_columns(table: sa.Table) -> list[sa.ColumnElement[Any]]:
    """The columns of STATE_WIRE from flow_run_state or task_run_state, outer-joined with their result (`artifact`).

    `data` in the state itself is of old versions of Prefect, and wins unless it is false in Python's sense.
    """
    c = table.c
    result, old = document_text(artifact.c.data), document_text(c.data)
    data = sa.case((c.data.is_(None), result), (old.in_(_FALSY), result), else_=old)
    return [c.id, c.type, c.name, c.timestamp, c.message, data, c.state_details]


def state_cells(state: State | None, dialect: str) -> list[Any]:
    """The cells of `state_columns` for a state that was just written."""
    if state is None:
        return [None] * 7
    as_json = JSON().encoder(dialect)
    timestamp = Timestamp().encoder(dialect)
    assert as_json is not None
    return [
        state.id,
        state.type,
        state.name,
        state.timestamp if timestamp is None else timestamp(state.timestamp),
        state.message,
        as_json(state.data) if persisted(state.data) else None,
        as_json(details_to_json(state.details)),
    ]
