"""Statements and units of single artifacts."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Batch, Call, Statement, Unit, point_read
from prefect_kernel.sql.match import document_text
from prefect_kernel.sql.types import SQLITE, UUID, Timestamp, json_from_text, json_to_text, timestamp_to_text
from prefect_kernel.web import dumps

from .collecting import COLLECTED, binds, collect, collection_event, read_collection
from .tables import artifact, artifact_collection
from .wire import ARTIFACT_COLUMNS, LATEST_COLUMNS

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

    from .schemas import ArtifactCreate

_ID = sa.bindparam("id", type_=UUID())
_BY_ID = Statement(sa.select(*ARTIFACT_COLUMNS).where(artifact.c.id == _ID), raw=True)
_LATEST = Statement(
    sa.select(*LATEST_COLUMNS).where(artifact_collection.c.key == sa.bindparam("key", type_=sa.String())), raw=True
)
_INSERT = Statement(sa.insert(artifact).values(binds(artifact, ["id", "created", "updated", *COLLECTED])))
_KEY_OF = Statement(sa.select(artifact.c.key).where(artifact.c.id == _ID))
_DELETE = Statement(sa.delete(artifact).where(artifact.c.id == _ID))
_DELETE_COLLECTION = Statement(sa.delete(artifact_collection).where(artifact_collection.c.latest_id == _ID))

_HEAD = ["id", "created", "updated", "key", "type", "description", "flow_run_id", "task_run_id"]
_NEXT = Statement(
    sa.select(
        *(artifact.c[name] for name in _HEAD),
        document_text(artifact.c.data),
        document_text(artifact.c.metadata_),
    )
    .where(artifact.c.key == sa.bindparam("key", type_=sa.String()), artifact.c.id != _ID)
    .order_by(artifact.c.created.desc())
    .limit(1)
)
_REPAIRED = [
    "latest_id",
    "data",
    "description",
    "type",
    "created",
    "updated",
    "flow_run_id",
    "task_run_id",
    "metadata_",
]
_REPAIR = Statement(
    sa.update(artifact_collection)
    .values(binds(artifact_collection, _REPAIRED, "new_"))
    .where(artifact_collection.c.latest_id == _ID)
)
_updates: dict[tuple[str, ...], tuple[Statement, Statement]] = {}


def _update(names: tuple[str, ...]) -> tuple[Statement, Statement]:
    """The changes of some columns in artifacts and in collections; there are eight pairs."""
    if names not in _updates:
        moment = {"updated": sa.bindparam("now", type_=Timestamp())}
        values = binds(artifact, list(names), "new_") | moment
        _updates[names] = (
            Statement(sa.update(artifact).values(values).where(artifact.c.id == _ID)),
            Statement(sa.update(artifact_collection).values(values).where(artifact_collection.c.latest_id == _ID)),
        )
    return _updates[names]


@point_read
def by_id(id: str) -> Unit[Any]:
    """The raw row of an artifact, or None."""
    rows = yield _BY_ID(id=id)
    return rows[0] if rows else None


@point_read
def latest(key: str) -> Unit[Any]:
    """The raw row of the collection of a key, as an artifact; or None."""
    rows = yield _LATEST(key=key)
    return rows[0] if rows else None


def _raw(dialect: str, row: dict[str, Any], now: datetime) -> list[Any]:
    """What reading the row would give."""
    moment: Any = timestamp_to_text(now) if dialect == SQLITE else now
    write = json_to_text if dialect == SQLITE else lambda value: dumps(value).decode()
    documents = {name: write(row[name][0]) for name in ("data", "metadata_")}
    cells = {**row, "created": moment, "updated": moment, **documents}
    return [cells[column.name] for column in ARTIFACT_COLUMNS]


def create(kernel: Kernel, body: ArtifactCreate, now: datetime) -> Unit[Any]:
    """Store an artifact, the latest of its key if it has one; gives its raw row."""
    values = body.__dict__
    id = uuid4()
    row = {
        **values,
        "id": id,
        "created": now,
        "updated": now,
        "flow_run_id": None if body.flow_run_id is None else str(body.flow_run_id),
        "task_run_id": None if body.task_run_id is None else str(body.task_run_id),
    }
    writes: list[tuple[Call, int | None]] = []
    if body.key is not None:
        writes = yield from collect(kernel, row, now)
    row |= {"data": (body.data,), "metadata_": (body.metadata_,)}
    insert = _INSERT.bind(row)
    if isinstance(body.data, int | float):  # how a bare number is stored depends on the database
        for call, expect in [*writes, (insert, None)]:
            yield Batch([(call, expect)])
        return (yield _BY_ID(id=id))[0]
    yield Batch([*writes, (insert, None)], last=True)
    return _raw(kernel.storage.dialect, row, now)


def update(id: str, changes: dict[str, Any], now: datetime) -> Unit[bool]:
    """Change an artifact, and the collection whose latest it is; False when there is neither."""
    values = {f"new_{name}": (value,) if name != "description" else value for name, value in changes.items()}
    artifacts, collections = _update(tuple(changes))
    params = {**values, "id": id, "now": now}
    changed = yield artifacts.bind(params)
    collected = yield collections.bind(params)
    return bool(changed or collected)


def delete(kernel: Kernel, id: str, now: datetime) -> Unit[bool]:
    """Delete an artifact; the one before it is then the latest of its key. False when there is no such artifact."""
    rows = yield _KEY_OF(id=id)
    if not rows:
        return False
    writes: list[tuple[Call, int | None]] = []
    key = rows[0][0]
    collection = None
    if key is not None:
        collection = yield from read_collection(key)
    if collection is not None and collection["latest_id"] == id:
        found = yield _NEXT(key=key, id=id)
        if found:
            *head, data, metadata = found[0]
            new: dict[str, Any] = dict(zip(_HEAD, head, strict=True))
            documents = {"data": json_from_text(data), "metadata_": json_from_text(metadata)}
            new["latest_id"] = new["id"]
            stored = new | {name: (value,) for name, value in documents.items()}
            writes = [(_REPAIR.bind({f"new_{name}": stored[name] for name in _REPAIRED} | {"id": id}), 1)]
            told, action = new | documents | {"id": collection["id"]}, "updated"
        else:
            writes = [(_DELETE_COLLECTION(id=id), 1)]
            told, action = collection, "deleted"
        writes += [(call, None) for call in collection_event(kernel, action, told, now)]
    yield Batch([*writes, (_DELETE(id=id), 1)], last=True)
    return True
