"""What lists of flows can be filtered by. `deployment` is added by the slice of deployments."""

from __future__ import annotations

from prefect_kernel.filtering import Node, Subject

from ..common.filters import ids, names, tags
from .tables import flow

FLOW_FILTER = Node(
    "FlowFilter",
    operator=True,
    id=ids(flow.c.id),
    name=names(flow.c.name),
    tags=tags(flow.c.tags),
)

FLOWS = Subject("flows", FLOW_FILTER, ["flows", "flow_runs", "task_runs", "deployments", "work_pools"])
"""Lists of flows. Relations are declared by the slices that refer to flows."""
