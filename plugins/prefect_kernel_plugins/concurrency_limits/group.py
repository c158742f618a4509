"""The endpoint group of concurrency limits by tag."""

from prefect_kernel import web

group = web.Group("Concurrency Limits", prefix="/concurrency_limits")
