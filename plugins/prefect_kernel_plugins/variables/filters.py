"""What lists of variables can be filtered by."""

from __future__ import annotations

from prefect_kernel.filtering import Node, Subject

from ..common.filters import ids, names, tags
from .tables import variable as t

VARIABLE_FILTER = Node(
    "VariableFilter", operator=True, id=ids(t.c.id, not_any=False), name=names(t.c.name), tags=tags(t.c.tags)
)

VARIABLES = Subject("variables", VARIABLE_FILTER, ["variables"])
"""Lists of variables."""
