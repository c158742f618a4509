"""States as clients see them, nested in their runs or alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa

from prefect_kernel.sql.types import json_from_text
from prefect_kernel.transition import DETAIL_DEFAULTS
from prefect_kernel.wire import Derived, Field, Skip, Wire, json_fragment

from ..artifacts.tables import artifact
from .stored import TIMES, iso

_FIRST = '{"flow_run_id": '
_LAST = '"deployment_concurrency_lease_id": '
_KEYS = len(DETAIL_DEFAULTS)


def _complete(type_: str, text: str, now: datetime) -> Any:
    """state_details with every key in the order of the wire, times in UTC with `Z`."""
    details = {**DETAIL_DEFAULTS, **json_from_text(text)}
    if len(details) != _KEYS:  # a key of another version of Prefect
        details = {key: details[key] for key in DETAIL_DEFAULTS}
    for key in TIMES:
        value = details[key]
        if value is not None and value[-1:] != "Z":
            moment = datetime.fromisoformat(value)
            details[key] = iso(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
    if type_ == "SCHEDULED" and details["scheduled_time"] is None:
        details["scheduled_time"] = iso(now)  # the reference's model makes it so when it reads such a row
    return details


def _details_sqlite(type_: str, text: str, now: datetime) -> Any:
    """Passed through when it is as the kernel and Prefect 3.8.8 write it: all keys, in order, times with `Z`."""
    if (
        text.startswith(_FIRST)
        and text.count('": ') == _KEYS
        and _LAST in text
        and "+00:00" not in text
        and "\\" not in text
        and (type_ != "SCHEDULED" or '"scheduled_time": null' not in text)
    ):
        return orjson.Fragment(text)
    return _complete(type_, text, now)


STATE_WIRE = Wire(
    [
        Field("id"),
        Field("type"),
        Field("name"),
        Field("timestamp", "time"),
        Field("message"),
        Field("data", json_fragment),
        Skip(1, "details"),
        Derived("state_details", ("type", "details"), _details_sqlite, _complete),
    ]
)


def state_columns(table: sa.Table) -> list[sa.ColumnElement[Any]]:
    """The columns of STATE_WIRE from flow_run_state or task_run_state, outer-joined with their result (`artifact`).

    `data` in the state itself is of old versions of Prefect, and wins.
    """
    c = table.c
    data = sa.func.coalesce(sa.cast(c.data, sa.Text), sa.cast(artifact.c.data, sa.Text))
    return [c.id, c.type, c.name, c.timestamp, c.message, data, c.state_details]
