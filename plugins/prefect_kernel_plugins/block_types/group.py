"""The endpoint group of block types."""

from prefect_kernel import web

group = web.Group("Block types", prefix="/block_types")
