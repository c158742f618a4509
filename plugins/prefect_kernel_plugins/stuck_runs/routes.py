"""`GET /api/kernel/flow_runs/{id}/why`; the kernel's own, which Prefect does not have."""

from __future__ import annotations

from prefect_kernel import web

from .causes import causes
from .facts import gather

group = web.Group("stuck runs", prefix="/kernel")


@group.get("/flow_runs/{id:uuid}/why", permission="read")
async def why(request: web.Request) -> web.Reply:
    """Say why a flow run is late, waits or is stuck: sentences for people, causes for machines."""
    kernel = request.kernel
    now = kernel.clock.now()
    facts = await kernel.storage.read(gather, kernel, request.path["id"], now)
    run, state = facts["run"], facts["state"]
    found = causes(facts, kernel.settings, now)
    return web.json(
        {
            "flow_run_id": run["id"],
            "name": run["name"],
            "state_type": run["state_type"],
            "state_name": run["state_name"],
            "state_message": state["message"],
            "since": run["state_timestamp"],
            "asked_at": now,
            "summary": " ".join(cause["sentence"] for cause in found if cause["blocking"] or not found[0]["blocking"]),
            "causes": found,
        }
    )
