"""The endpoint group of logs."""

from prefect_kernel import web

group = web.Group("Logs", prefix="/logs")
