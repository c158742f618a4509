"""What lists of block types can be filtered by. The slice of block schemas adds their filter."""

from __future__ import annotations

from prefect_kernel.filtering import AnyOf, Like, Node, Subject

from ..blocks.tables import block_type as t

TYPE_FILTER = Node("BlockTypeFilter", name=Node(like_=Like(t.c.name)), slug=Node(any_=AnyOf(t.c.slug)))

TYPES = Subject("block_types", TYPE_FILTER, ["block_types", "block_schemas"])
"""Lists of block types."""
