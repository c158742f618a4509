"""Variables as clients see them."""

from __future__ import annotations

from typing import Any

from prefect_kernel.wire import Field, Wire, number, stored_json

from .tables import variable as t


def _value(cell: Any) -> str:
    """A stored value as JSON; SQLite has made a number of a text that is one."""
    if isinstance(cell, float):
        return number(cell)
    return str(cell) if isinstance(cell, int) else stored_json(cell)


VARIABLE_COLUMNS = [t.c.id, t.c.created, t.c.updated, t.c.name, t.c.value, t.c.tags]
VARIABLE_WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("name", "text"),
        Field("value", _value),
        Field("tags", "json"),
    ]
)
