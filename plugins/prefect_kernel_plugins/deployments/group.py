"""The endpoint group of deployments; routes that make flow runs are declared by the slice `deployment_runs`."""

from prefect_kernel import web

group = web.Group("Deployments", prefix="/deployments")
