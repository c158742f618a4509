"""Flows as clients see them."""

from __future__ import annotations

from prefect_kernel.wire import Field, Wire

from .tables import flow

FLOW_COLUMNS = [flow.c.id, flow.c.created, flow.c.updated, flow.c.name, flow.c.tags, flow.c.labels]
FLOW_WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("name", "text"),
        Field("tags", "json"),
        Field("labels", "json"),
    ]
)
