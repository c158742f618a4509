"""The endpoint group of global concurrency limits."""

from prefect_kernel import web

group = web.Group("Concurrency Limits V2", prefix="/v2/concurrency_limits")
