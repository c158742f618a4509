"""Proposing states to runs in a database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from prefect_kernel.transition import Move, State
from prefect_kernel_plugins.flow_runs import transitions as flow_transitions
from prefect_kernel_plugins.task_runs import transitions

from .support import FakeKernel


def proposed(type: str, name: str | None = None, **details: Any) -> Callable[[datetime], State]:
    """What `set_state` takes: the state that is proposed at a time."""
    data, message = details.pop("data", None), details.pop("message", None)
    return lambda now: State(type, name=name, data=data, message=message, details=details, timestamp=now)


async def propose(kernel: FakeKernel, id: str, type: str, name: str | None = None, **details: Any) -> Move:
    """Propose a state to a task run, a second after whatever was before."""
    kernel.clock.time += timedelta(seconds=1)
    anything: Any = kernel
    policy = details.pop("policy", "core-task")
    return await transitions.set_state(anything, id, proposed(type, name, **details), policy=policy)


async def propose_flow(kernel: FakeKernel, id: str, type: str, **details: Any) -> Move:
    """Propose a state to a flow run."""
    kernel.clock.time += timedelta(seconds=1)
    anything: Any = kernel
    return await flow_transitions.set_state(anything, id, proposed(type, **details))
