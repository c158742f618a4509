"""The built-in block types: those that the reference registers at its start.

A start compares the database with a small index; only when something is missing or differs is the whole data read.
Nothing is ever deleted, and, as in the reference, no events are emitted for it.
"""

from __future__ import annotations

import gzip
import hashlib
import html
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit, inserting
from prefect_kernel.sql.types import Timestamp

from .tables import block_schema, block_schema_reference, block_type

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

HERE = Path(__file__).parent
COLUMNS = "slug name logo_url documentation_url description code_example is_protected".split()
UPDATABLE = "logo_url documentation_url description code_example is_protected".split()


def _values(table: sa.Table) -> dict[str, sa.BindParameter[Any]]:
    return {column.name: sa.bindparam(column.name, type_=column.type) for column in table.columns}


def _insert_missing(table: sa.Table, *unique: str) -> Statement:
    return Statement(
        inserting(lambda insert: insert(table).values(_values(table)).on_conflict_do_nothing(index_elements=unique))
    )


_TYPES = Statement(sa.select(block_type.c.id, *(block_type.c[name] for name in COLUMNS)))
_SCHEMAS = Statement(sa.select(block_schema.c.id, block_schema.c.checksum, block_schema.c.version))
_INSERT_TYPE = _insert_missing(block_type, "slug")
_INSERT_SCHEMA = _insert_missing(block_schema, "checksum", "version")
_INSERT_REFERENCE = Statement(sa.insert(block_schema_reference).values(_values(block_schema_reference)))
_UPDATE_TYPE = Statement(
    sa.update(block_type)
    .values(
        **{name: sa.bindparam(f"new_{name}", type_=block_type.c[name].type) for name in UPDATABLE},
        updated=sa.bindparam("now", type_=Timestamp()),
    )
    .where(block_type.c.slug == sa.bindparam("its_slug"))
)
_OVERRIDDEN = Statement(
    sa.update(block_type)
    .values({name: sa.bindparam(f"new_{name}", type_=block_type.c[name].type) for name in ("name", *UPDATABLE)})
    .where(block_type.c.slug == sa.bindparam("its_slug"))
)


def digest(values: list[Any]) -> str:
    """What a type is compared by. Texts may be stored escaped, as they are when a type is made, or plain."""
    return hashlib.sha256("\0".join(html.unescape(str(value)) for value in values).encode()).hexdigest()[:16]


def index() -> dict[str, Any]:
    """Digests of all types by their slugs, and `checksum version` of all schemas."""
    found: dict[str, Any] = orjson.loads((HERE / "builtin_index.json").read_bytes())
    return found


def everything() -> dict[str, Any]:
    """All types, schemas and references between schemas."""
    found: dict[str, Any] = orjson.loads(gzip.decompress((HERE / "builtin.json.gz").read_bytes()))
    return found


def complete() -> Unit[bool]:
    """Whether the database has all built-in types and schemas as they should be."""
    wanted = index()
    types = yield _TYPES()
    had = {row[1]: digest(list(row[1:])) for row in types}
    if any(had.get(slug) != what for slug, what in wanted["types"].items()):
        return False
    schemas = yield _SCHEMAS()
    return {f"{checksum} {version}" for _, checksum, version in schemas}.issuperset(wanted["schemas"])


def supply(now: datetime) -> Unit[None]:
    """Add the types and schemas that are missing, and bring the types that differ up to date."""
    data, wanted = everything(), index()
    types = yield _TYPES()
    had = {row[1]: digest(list(row[1:])) for row in types}
    differing = [
        one for one in data["types"] if one["slug"] in had and had[one["slug"]] != wanted["types"][one["slug"]]
    ]
    if differing:
        yield _UPDATE_TYPE.many([_renamed(one, now=now) for one in differing])
    yield from _add_types([one for one in data["types"] if one["slug"] not in had], now)
    yield from _add_schemas(data, range(len(data["schemas"])), now)


def install_protected(now: datetime) -> Unit[None]:
    """Put the protected types back to what they should be, with their schemas."""
    data = everything()
    protected = [one for one in data["types"] if one["is_protected"]]
    escaped = [{**one, **{name: _escaped(one[name]) for name in ("description", "code_example")}} for one in protected]
    yield _OVERRIDDEN.many([_renamed(one) for one in escaped])
    yield from _add_types(escaped, now)
    slugs = {one["slug"] for one in protected}
    yield from _add_schemas(data, [n for n, one in enumerate(data["schemas"]) if one["type"] in slugs], now)


def _escaped(text: str) -> str:
    """Text as the reference stores it where it makes a type, but not where it updates one."""
    return html.escape(html.unescape(text), quote=False)


def _renamed(one: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**{f"new_{name}": one[name] for name in one}, "its_slug": one["slug"], **more}


def _add_types(missing: list[dict[str, Any]], now: datetime) -> Unit[None]:
    """Insert types; somebody else may be doing the same."""
    if missing:
        yield _INSERT_TYPE.many([{**one, **_made(now, number)} for number, one in enumerate(missing)])


def _add_schemas(data: dict[str, Any], numbers: Any, now: datetime) -> Unit[None]:
    """Insert those of the numbered schemas that are missing, with their references to others."""
    types = {row[1]: row[0] for row in (yield _TYPES())}
    ids = {(row[1], row[2]): row[0] for row in (yield _SCHEMAS())}
    wanted = [data["schemas"][number] for number in numbers]
    missing = [one for one in wanted if (one["checksum"], one["version"]) not in ids]
    if not missing:
        return
    made = []
    for number, one in enumerate(missing):
        stored = {name: one[name] for name in ("checksum", "version", "capabilities", "fields")}
        # Lists of schemas are sorted by their creation, so no two are made at the same time.
        made.append({**stored, "block_type_id": types[one["type"]], **_made(now, 1000 + number)})
    yield _INSERT_SCHEMA.many(made)
    ids = {(row[1], row[2]): row[0] for row in (yield _SCHEMAS())}
    own = {row["id"] for row in made}
    at = [ids.get((one["checksum"], one["version"])) for one in data["schemas"]]
    references = [
        {
            "name": one["name"],
            "parent_block_schema_id": at[one["parent"]],
            "reference_block_schema_id": at[one["child"]],
            **_made(now, 2000 + number),
        }
        for number, one in enumerate(data["references"])
        if at[one["parent"]] in own and at[one["child"]] is not None  # who has made the parent makes its references
    ]
    if references:
        yield _INSERT_REFERENCE.many(references)


def _made(now: datetime, microseconds: int) -> dict[str, Any]:
    when = now + timedelta(microseconds=microseconds)
    return {"id": uuid4(), "created": when, "updated": when}


async def register(kernel: Kernel) -> None:
    """Make sure that the database has the built-in types."""
    if not await kernel.storage.read(complete):
        await kernel.storage.write(supply, kernel.clock.now())
