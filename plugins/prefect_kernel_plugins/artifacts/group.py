"""The endpoint group of artifacts."""

from prefect_kernel import web

group = web.Group("Artifacts", prefix="/artifacts")
