"""The endpoint group of graphs of flow runs."""

from prefect_kernel import web

group = web.Group("Flow Run Graph", prefix="/flow_runs")
