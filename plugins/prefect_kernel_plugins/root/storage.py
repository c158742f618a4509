"""The default result storage: a block document in which flows keep their results unless they say otherwise."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID as Id  # noqa: N811 - UUID is the column type here

import sqlalchemy as sa

from prefect_kernel import errors, web
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit, inserting, point_read
from prefect_kernel.sql.types import UUID

from ..blocks.tables import block_document, block_schema
from ..common.fields import Lenient
from ..configuration.tables import configuration
from .group import group

KEY = "server-default-result-storage"

_KEY = configuration.c.key == sa.bindparam("key", type_=sa.String())
_READ = Statement(sa.select(configuration.c.value).where(_KEY))
_DELETE = Statement(sa.delete(configuration).where(_KEY))
_CAPABILITIES = Statement(
    sa.select(block_schema.c.capabilities)
    .select_from(block_document.join(block_schema, block_schema.c.id == block_document.c.block_schema_id))
    .where(block_document.c.id == sa.bindparam("id", type_=UUID()))
)
_VALUES = {column.name: sa.bindparam(column.name, type_=column.type) for column in configuration.columns}
_UPDATE = Statement(
    sa.update(configuration)
    .values({name: sa.bindparam(f"new_{name}", type_=configuration.c[name].type) for name in ("value", "updated")})
    .where(_KEY)
)
_INSERT = Statement(inserting(lambda insert: insert(configuration).values(_VALUES).on_conflict_do_nothing()))


class StorageUpdate(Lenient):
    """The block document that is to be the default."""

    default_result_storage_block_id: Id


Storage = dict[str, str | None]


@point_read
def read() -> Unit[Storage]:
    """The default result storage."""
    rows = yield _READ(key=KEY)
    return {"default_result_storage_block_id": rows[0][0].get("default_result_storage_block_id") if rows else None}


def write(block_id: str, now: datetime) -> Unit[Storage]:
    """Set the default. Raises NotFound, and Unprocessable for a block that cannot store results."""
    rows = yield _CAPABILITIES(id=block_id)
    if not rows:
        raise errors.NotFound(f"Block document {block_id} not found.")
    if "write-path" not in rows[0][0]:
        raise errors.Unprocessable(f"Block document {block_id} cannot be used for result storage.")
    value: Storage = {"default_result_storage_block_id": block_id}
    stored = yield _READ(key=KEY)
    if not stored:
        inserted = yield _INSERT(id=uuid4(), created=now, updated=now, key=KEY, value=value)
        if inserted:
            return value
    if not stored or stored[0][0] != value:
        yield _UPDATE(key=KEY, new_value=value, new_updated=now)
    return value


def clear() -> Unit[None]:
    """Have no default."""
    yield _DELETE(key=KEY)


@group.get("/admin/storage", permission="read", response="ServerDefaultResultStorage")
async def read_server_default_result_storage(request: web.Request) -> web.Reply:
    """Give the default result storage; read by clients at the start of every flow run."""
    return web.json(await request.kernel.storage.read(read))


@group.put("/admin/storage", body=StorageUpdate, permission="admin", response="ServerDefaultResultStorage")
async def update_server_default_result_storage(request: web.Request, body: StorageUpdate) -> web.Reply:
    """Set the default result storage."""
    kernel = request.kernel
    block_id = str(body.default_result_storage_block_id)
    return web.json(await kernel.storage.write(write, block_id, kernel.clock.now()))


@group.delete("/admin/storage", status=204, permission="admin")
async def clear_server_default_result_storage(request: web.Request) -> web.Reply:
    """Have no default result storage."""
    await request.kernel.storage.write(clear)
    return web.no_content()
