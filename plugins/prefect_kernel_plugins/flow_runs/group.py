"""The endpoint group of flow runs."""

from prefect_kernel import web

group = web.Group("Flow Runs", prefix="/flow_runs")
