"""The group of the automation routes."""

from prefect_kernel import web

group = web.Group("automations", prefix="/automations")
