"""Artifacts and collections as clients see them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from prefect_kernel.wire import Field, Wire, json_text, stored_json

from .tables import artifact, artifact_collection


def _document(cell: Any) -> str:
    """Stored JSON; on SQLite a document that is a bare number is stored as one."""
    return stored_json(cell) if cell is None or isinstance(cell, str) else json_text(cell)


_TAIL = [
    Field("type", "text"),
    Field("description", "text"),
    Field("data", _document),
    Field("metadata_", _document),
    Field("flow_run_id", "word"),
    Field("task_run_id", "word"),
]
ARTIFACT_WIRE = Wire(
    [Field("id", "word"), Field("created", "time"), Field("updated", "time"), Field("key", "text"), *_TAIL]
)
COLLECTION_WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("key", "text"),
        Field("latest_id", "word"),
        *_TAIL,
    ]
)
ARTIFACT_COLUMNS: list[sa.Column[Any]] = [artifact.c[member.key] for member in ARTIFACT_WIRE.members]
COLLECTION_COLUMNS: list[sa.Column[Any]] = [artifact_collection.c[member.key] for member in COLLECTION_WIRE.members]
LATEST_COLUMNS: list[sa.Column[Any]] = [artifact_collection.c[member.key] for member in ARTIFACT_WIRE.members]
"""The columns of a collection that make an artifact of it: the id is the collection's, as clients know it."""
