"""Dry runs: the decision that a proposed state would get now, and nothing of it written."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from prefect_kernel import web
from prefect_kernel.app import Kernel
from prefect_kernel.policy import ResolvedPolicy
from prefect_kernel.propose import dry_run
from prefect_kernel.stash import StashKey
from prefect_kernel.transition import State

from ..common.client import api_version, client_version
from ..flow_runs import transitions as flow_runs
from ..flow_runs.schemas import SetState
from ..states import to_state
from ..task_runs import transitions as task_runs
from .account import account
from .decisions import EFFECTS, decision
from .watching import watched


class _Watching:
    """A kernel whose policies are watched; everything else is the kernel's own."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.policies: dict[str, ResolvedPolicy] = {name: watched(policy) for name, policy in kernel.policies.items()}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernel, name)


_WATCHING = StashKey[Any]("the kernel with watched policies")


def _watching(kernel: Kernel) -> Any:
    if _WATCHING not in kernel.stash:
        kernel.stash[_WATCHING] = _Watching(kernel)
    return kernel.stash[_WATCHING]


async def explain(request: web.Request, body: SetState, kind: str) -> dict[str, Any]:
    """What would become of a proposed state: the account, and what would be written. Raises ObjectNotFound."""
    kernel = request.kernel
    unit = flow_runs.transition if kind == "flow" else task_runs.transition

    def make(now: datetime) -> State:
        return to_state(body.state, now)

    move = await dry_run(
        _watching(kernel),
        unit,
        request.path["id"],
        make,
        policy=f"{'minimal' if body.force else 'core'}-{kind}",
        now=kernel.clock.now(),
        api_version=api_version(request),
        client_version=client_version(request),
    )
    move.context.setdefault(EFFECTS, [])
    told = account(kernel, decision(move))
    told["proposed"] = {"type": body.state.type.value, "name": body.state.name or body.state.type.value.title()}
    told["would_write"] = {
        "state": None if move.validated is None else move.validated.to_json(),
        "statements": len(move.writes),
        "events": [event["event"] for event in move.events],
    }
    return told
