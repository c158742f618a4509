"""Bodies of the flow routes."""

from __future__ import annotations

from ..common.fields import Input, KeyValueLabels, Name


class FlowCreate(Input):
    """A flow to be registered; a flow of that name that exists is answered instead."""

    name: Name
    tags: list[str] = []
    labels: KeyValueLabels | None = {}


class FlowUpdate(Input):
    """What may be changed in a flow."""

    tags: list[str] = []
