"""The endpoint group of what the server says about itself."""

from prefect_kernel import web

group = web.Group("root")
