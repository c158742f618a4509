"""The latest artifact of each key, and what the server's events tell of it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Call, Statement, Unit, inserting
from prefect_kernel.sql.match import document_text
from prefect_kernel.sql.types import JSON, UUID, Converter, json_from_text

from ..common.lifecycle import lifecycle_event
from .tables import artifact_collection as t

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel


class Document(JSON):
    """A JSON document, bound as a tuple of one: so null is stored as JSON's null, and not as SQL's."""

    def encoder(self, dialect: str) -> Converter:
        encode = super().encoder(dialect)
        assert encode is not None
        return lambda value: encode(value[0])


COLLECTED = ["key", "type", "description", "data", "metadata_", "flow_run_id", "task_run_id"]
"""What an artifact and the collection of its key have in common."""


def binds(table: sa.Table, names: list[str], prefix: str = "") -> dict[str, sa.BindParameter[Any]]:
    """A parameter for each column; documents are bound as `Document`."""
    return {
        name: sa.bindparam(
            prefix + name, type_=Document() if isinstance(table.c[name].type, JSON) else table.c[name].type
        )
        for name in names
    }


_FACTS = ["id", "latest_id", "key", "type", "description", "data", "flow_run_id", "task_run_id"]
_BY_KEY = Statement(
    sa.select(*(t.c[name] for name in _FACTS if name != "data"), document_text(t.c.data)).where(
        t.c.key == sa.bindparam("key", type_=sa.String())
    )
)
_NAMES = [name for name in _FACTS if name != "data"] + ["data"]
_ALL = ["id", "created", "updated", "latest_id", *COLLECTED]
_INSERT = Statement(inserting(lambda insert: insert(t).values(binds(t, _ALL)).on_conflict_do_nothing()))
_updates: dict[tuple[str, ...], Statement] = {}


def _replace(names: tuple[str, ...]) -> Statement:
    if names not in _updates:
        _updates[names] = Statement(
            sa.update(t)
            .values(binds(t, [*names, "updated", "latest_id"], "new_"))
            .where(t.c.id == sa.bindparam("collection_id", type_=UUID()))
        )
    return _updates[names]


def read_collection(key: str) -> Unit[dict[str, Any] | None]:
    """The collection of a key, its data parsed; None when there is none."""
    rows = yield _BY_KEY(key=key)
    if not rows:
        return None
    found = dict(zip(_NAMES, rows[0], strict=True))
    found["data"] = json_from_text(found["data"])
    return found


def collection_event(kernel: Kernel, action: str, collection: dict[str, Any], now: datetime) -> list[Call]:
    """The write that records what happened to a collection (keys as `_FACTS`); none when nobody wants events."""
    if not kernel.events.wanted:
        return []
    payload = {name: collection[name] for name in ("key", "type", "data", "description")}
    event = lifecycle_event("artifact-collection", action, collection["id"], collection["key"], payload, now)
    event["related"] = [
        {"prefect.resource.id": f"prefect.{kind}.{id}", "prefect.resource.role": role}
        for kind, role, id in (
            ("artifact", "latest", collection["latest_id"]),
            ("flow-run", "flow-run", collection["flow_run_id"]),
            ("task-run", "task-run", collection["task_run_id"]),
        )
        if id
    ]
    return [kernel.events.call(event)]


def collect(kernel: Kernel, values: dict[str, Any], now: datetime) -> Unit[list[tuple[Call, int | None]]]:
    """The guarded writes that make an artifact the latest of its key.

    `values` has the artifact's `id`, its `key`, and those of `COLLECTED` that it says; what it does not say stays as it
    is in a collection that is there.
    """
    given = {name: values[name] for name in COLLECTED if name in values}
    found = yield from read_collection(values["key"])
    stored = {name: (value,) if name in ("data", "metadata_") else value for name, value in given.items()}
    writes: list[tuple[Call, int | None]]
    if found is None:
        row = dict.fromkeys(COLLECTED) | stored | {"id": uuid4(), "created": now, "updated": now}
        row["latest_id"] = values["id"]
        writes = [(_INSERT.bind(row), 1)]
    else:
        names = tuple(name for name in COLLECTED if name in given and name != "key")
        new = {f"new_{name}": stored[name] for name in names}
        new |= {"new_updated": now, "new_latest_id": values["id"], "collection_id": found["id"]}
        writes = [(_replace(names).bind(new), 1)]
        row = found | {"latest_id": values["id"]}
    after = {name: given.get(name, row.get(name)) for name in _FACTS}
    action = "created" if found is None else "updated"
    return writes + [(call, None) for call in collection_event(kernel, action, after, now)]


__all__ = ["COLLECTED", "Document", "binds", "collect", "collection_event", "read_collection"]
