"""The endpoint group of flows."""

from prefect_kernel import web

group = web.Group("Flows", prefix="/flows")
