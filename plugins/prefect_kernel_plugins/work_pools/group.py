"""The endpoint group of work pools, their queues and workers."""

from prefect_kernel import web

group = web.Group("Work Pools", prefix="/work_pools")
