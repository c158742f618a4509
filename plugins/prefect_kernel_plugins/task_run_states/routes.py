"""Routes of task run states."""

from prefect_kernel import web

from ..states.reads import state_routes
from ..task_runs.tables import task_run_state

group = web.Group("Task Run States", prefix="/task_run_states")

# The reference says "Flow run" here too.
state_routes(group, task_run_state, "task_run_id", "Flow run state not found")
