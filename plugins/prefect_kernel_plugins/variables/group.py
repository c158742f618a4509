"""The endpoint group of variables."""

from prefect_kernel import web

group = web.Group("Variables", prefix="/variables")
