"""Bodies and queries of the routes of block schemas."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ..common.fields import Input, Lenient

NO_VERSION = "non-versioned"


class BlockSchemaCreate(Input):
    """A block schema to be made; one with the same checksum and version that exists is answered instead."""

    fields: dict[str, Any] = {}
    block_type_id: UUID
    capabilities: list[str] = []
    version: str = NO_VERSION


class Version(Lenient):
    """Query parameters of a look-up by checksum."""

    version: str | None = None
