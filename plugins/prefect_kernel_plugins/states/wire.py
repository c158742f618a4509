"""States as clients see them, nested in their runs or alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from prefect_kernel.sql.types import json_from_text
from prefect_kernel.transition import DETAIL_DEFAULTS
from prefect_kernel.wire import Derived, Field, Skip, Wire, json_text

from ..artifacts.tables import artifact
from .stored import TIMES, iso

_FIRST = '{"flow_run_id": '
_LAST = '"deployment_concurrency_lease_id": '
_KEYS = len(DETAIL_DEFAULTS)


_DEFAULT_TEXTS = {key: f'"{key}":{json_text(value)}' for key, value in DETAIL_DEFAULTS.items()}


def _time(value: str) -> str:
    """A point in time as pydantic writes it: UTC as `Z`, another offset as it was given."""
    if value[-1:] == "Z":
        return value
    if value[-6:] == "+00:00" and ".000000" not in value:
        return value[:-6] + "Z"
    moment = datetime.fromisoformat(value)
    return iso(moment) if not moment.utcoffset() else moment.isoformat()


def _complete(type_: str, text: str, now: datetime) -> str:
    """state_details with every key in the order of the wire."""
    given = json_from_text(text)
    for key in TIMES:
        value = given.get(key)
        if value is not None:
            given[key] = _time(value)
        elif key == "scheduled_time" and type_ == "SCHEDULED":
            given[key] = iso(now)  # the reference's model makes it so when it reads such a row
    if len(given) == _KEYS and given.keys() == DETAIL_DEFAULTS.keys():
        return orjson.dumps({**DETAIL_DEFAULTS, **given}).decode()
    texts = dict(_DEFAULT_TEXTS)
    for key, value in given.items():
        if key in texts:  # else it is of another version of Prefect
            texts[key] = f'"{key}":{json_text(value)}'
    return f"{{{','.join(texts.values())}}}"


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
    result, old = sa.cast(artifact.c.data, sa.Text), sa.cast(c.data, sa.Text)
    data = sa.case((c.data.is_(None), result), (old.in_(_FALSY), result), else_=old)
    return [c.id, c.type, c.name, c.timestamp, c.message, data, c.state_details]
