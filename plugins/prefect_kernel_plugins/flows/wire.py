"""Flows as clients see them."""

from __future__ import annotations

from prefect_kernel.wire import Field, Wire

from .tables import flow

FLOW_COLUMNS = [flow.c[name] for name in "id created updated name tags labels".split()]
FLOW_WIRE = Wire(
    [
        Field("id"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("name"),
        Field("tags", "json"),
        Field("labels", "json"),
    ]
)
