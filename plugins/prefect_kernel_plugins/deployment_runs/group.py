"""The endpoint group of deployments' runs."""

from prefect_kernel import web

group = web.Group("Deployment Runs", prefix="/deployments")
