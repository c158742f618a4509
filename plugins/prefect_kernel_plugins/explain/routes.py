"""Routes of `explain`; the kernel's own, which Prefect does not have."""

from __future__ import annotations

from typing import Any

from prefect_kernel import errors, web

from ..flow_runs.schemas import SetState
from .account import account
from .coverage import COVERAGE
from .decisions import DECISIONS
from .dry_run import explain

group = web.Group("explain", prefix="/kernel")

web.describe(
    "Explanation",
    {
        "type": "object",
        "title": "Explanation",
        "properties": {
            "verdict": {"enum": ["ACCEPT", "REJECT", "ABORT", "WAIT"]},
            "reason": {"type": ["string", "null"]},
            "rules": {"type": "array", "items": {"type": "object"}},
        },
        "required": ["verdict", "reason", "rules"],
    },
)


@group.post("/flow_runs/{id:uuid}/explain", body=SetState, embed=True, permission="read", response="Explanation")
async def explain_flow_run(request: web.Request, body: SetState) -> web.Reply:
    """Say what would become of a state that is proposed to a flow run, rule by rule; nothing is written."""
    return web.json(await explain(request, body, "flow"))


@group.post("/task_runs/{id:uuid}/explain", body=SetState, embed=True, permission="read", response="Explanation")
async def explain_task_run(request: web.Request, body: SetState) -> web.Reply:
    """Say what would become of a state that is proposed to a task run, rule by rule; nothing is written."""
    return web.json(await explain(request, body, "task"))


def _trail(request: web.Request) -> list[dict[str, Any]]:
    kernel = request.kernel
    return [account(kernel, decision) for decision in kernel.stash[DECISIONS].of(request.path["id"])]


@group.get("/flow_runs/{id:uuid}/trail", permission="read", response="Explanation[]")
async def flow_run_trail(request: web.Request) -> web.Reply:
    """The last decisions about a flow run that this process remembers, newest first; empty when there are none."""
    return web.json(_trail(request))


@group.get("/task_runs/{id:uuid}/trail", permission="read", response="Explanation[]")
async def task_run_trail(request: web.Request) -> web.Reply:
    """The last decisions about a task run that this process remembers, newest first; empty when there are none."""
    return web.json(_trail(request))


@group.get("/rules/coverage", permission="admin")
async def rules_coverage(request: web.Request) -> web.Reply:
    """How often each rule fired, let pass, and came after another; 404 unless it is counted."""
    stash = request.kernel.stash
    if COVERAGE not in stash:
        raise errors.NotFound("Coverage is not counted (PREFECT_KERNEL_EXPLAIN_COVERAGE=true).")
    return web.json(stash[COVERAGE].report())
