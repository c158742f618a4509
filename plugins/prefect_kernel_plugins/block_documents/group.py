"""The endpoint group of block documents."""

from prefect_kernel import web

group = web.Group("Block documents", prefix="/block_documents")
