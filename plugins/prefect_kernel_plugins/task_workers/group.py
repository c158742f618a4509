"""The endpoint group of task workers, and the socket group below task runs that serves them."""

from prefect_kernel import web

group = web.Group("Task Workers", prefix="/task_workers")
sockets = web.Group("Task Runs", prefix="/task_runs/subscriptions")
