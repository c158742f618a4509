"""The endpoint group of events."""

from prefect_kernel import web

group = web.Group("Events", prefix="/events")
