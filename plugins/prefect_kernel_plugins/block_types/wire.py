"""Block types as clients see them."""

from __future__ import annotations

from typing import Any

from prefect_kernel.wire import Field, Wire, quote

from ..blocks.tables import block_type as t


def _stripped(url: Any) -> str:
    return "null" if url is None else quote(url.strip())


TYPE_COLUMNS = [
    t.c.id,
    t.c.created,
    t.c.updated,
    t.c.name,
    t.c.slug,
    t.c.logo_url,
    t.c.documentation_url,
    t.c.description,
    t.c.code_example,
    t.c.is_protected,
]
TYPE_WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("name", "text"),
        Field("slug", "text"),
        Field("logo_url", _stripped),
        Field("documentation_url", _stripped),
        Field("description", "text"),
        Field("code_example", "text"),
        Field("is_protected", "bool"),
    ]
)
