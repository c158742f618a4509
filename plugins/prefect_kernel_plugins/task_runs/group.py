"""The endpoint group of task runs."""

from prefect_kernel import web

group = web.Group("Task Runs", prefix="/task_runs")
