"""Bodies of the routes of saved searches."""

from __future__ import annotations

from typing import Any

from ..common.fields import Input, Lenient


class SavedSearchFilter(Lenient):
    """One condition of a search; only the UI knows what it means."""

    object: str
    property: str
    type: str
    operation: str
    value: Any


class SavedSearchCreate(Input):
    """A search to be saved; one of that name that exists is replaced."""

    name: str
    filters: list[SavedSearchFilter] = []
