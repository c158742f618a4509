"""The endpoint group of work queues."""

from prefect_kernel import web

group = web.Group("Work Queues", prefix="/work_queues")
