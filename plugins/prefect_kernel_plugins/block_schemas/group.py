"""The endpoint group of block schemas."""

from prefect_kernel import web

group = web.Group("Block schemas", prefix="/block_schemas")
