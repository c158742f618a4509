"""Routes of flow run states."""

from prefect_kernel import web

from ..flow_runs.tables import flow_run_state
from ..states.reads import state_routes

group = web.Group("Flow Run States", prefix="/flow_run_states")

state_routes(group, flow_run_state, "flow_run_id", "Flow run state not found")
