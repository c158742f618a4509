"""What lists of automations can be filtered by."""

from __future__ import annotations

import operator

from prefect_kernel.filtering import AnyOf, Compare, Node, Subject

from ..common.fields import DateTime
from ..common.filters import ids, tags
from .tables import automation

AUTOMATION_FILTER = Node(
    "AutomationFilter",
    operator=True,
    id=ids(automation.c.id, not_any=False),
    name=Node(any_=AnyOf(automation.c.name)),
    created=Node(before_=Compare(automation.c.created, operator.le, DateTime)),
    tags=tags(automation.c.tags, any_=True),
)

AUTOMATIONS = Subject("automations", AUTOMATION_FILTER, ["automations"])
"""Lists of automations."""
