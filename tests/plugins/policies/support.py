"""A kernel that is just enough for policies: settings, a clock that stands, leases, events."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect_kernel import settings
from prefect_kernel.engine import decide
from prefect_kernel.events import Events
from prefect_kernel.policy import Policy, ResolvedPolicy, resolve
from prefect_kernel.transition import Move, Rule, State
from prefect_kernel_plugins.leases_memory import MemoryLeases
from prefect_kernel_plugins.policies import kernel_policies
from prefect_kernel_plugins.task_runs.queues import QUEUES

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
RUN = "019a0000-0000-7000-8000-000000000001"
FLOW = "019a0000-0000-7000-8000-000000000002"
DEPLOYMENT = "019a0000-0000-7000-8000-000000000003"
LIMIT = "019a0000-0000-7000-8000-000000000004"
PARENT = "019a0000-0000-7000-8000-000000000005"

SETTINGS = settings.load({"PREFECT_HOME": "/nonexistent"}, cwd="/")
POLICIES: dict[str, ResolvedPolicy] = {policy.name: resolve(policy, "policies", []) for policy in kernel_policies()}


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Queues:
    """Stands in for the queues of background tasks."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, bool]] = []

    async def announce(self, key: str, run_id: str, *, first: bool = False) -> None:
        self.calls.append((key, run_id, first))


class FakeKernel:
    """What policies see of the kernel."""

    def __init__(self, storage: Any = None) -> None:
        self.settings = SETTINGS
        self.clock, self.leases = Clock(), MemoryLeases()
        self.policies, self.storage, self.task_queues = POLICIES, storage, Queues()
        self.stash: dict[Any, Any] = {QUEUES: self.task_queues}
        anything: Any = self
        self.events, self.on_move = Events(anything), None

    def listen(self) -> None:
        """Have somebody who wants events."""
        self.events.wake = lambda: None


def state(type: str, name: str | None = None, *, ago: Any = 10, **details: Any) -> State:
    """A state that was entered `ago` seconds before NOW; `data` and `message` are taken out of the details."""
    data, message = details.pop("data", None), details.pop("message", None)
    at = NOW - timedelta(seconds=ago)
    return State(type, name=name, details=details, data=data, message=message, timestamp=at)


def flow_run(**columns: Any) -> dict[str, Any]:
    """A flow run as the snapshot gives it."""
    return {
        "id": RUN,
        "name": "swift-otter",
        "flow_id": FLOW,
        "deployment_id": None,
        "state_id": None,
        "state_type": None,
        "state_name": None,
        "state_timestamp": None,
        "run_count": 0,
        "empirical_policy": {
            "max_retries": 0,
            "retry_delay_seconds": 0,
            "retries": None,
            "retry_delay": None,
            "pause_keys": [],
            "resuming": False,
            "retry_type": None,
        },
        "start_time": None,
        "end_time": None,
        "total_run_time": timedelta(0),
        "expected_start_time": None,
        "next_scheduled_start_time": None,
        "parent_task_run_id": None,
        "infrastructure_pid": None,
        "tags": [],
        "created_by": None,
        "work_queue_id": None,
        "created": NOW,
        "updated": NOW,
        **columns,
    }


def task_run(**columns: Any) -> dict[str, Any]:
    """A task run as the snapshot gives it."""
    run = flow_run()
    for key in ("deployment_id", "parent_task_run_id", "infrastructure_pid", "created_by", "work_queue_id", "flow_id"):
        del run[key]
    policy = {"retries": None, "retry_delay": None, "retry_jitter_factor": None}
    own = {"flow_run_id": None, "task_key": "add-1", "dynamic_key": "0", "flow_run_run_count": 0}
    return {**run, **own, "empirical_policy": policy, **columns}


def deployment(limit: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """The context of a run with a deployment; `limit` holds what differs from a free limit of 1."""
    row = {
        "id": LIMIT,
        "name": "deployment:x",
        "limit": 1,
        "active": True,
        "active_slots": 0,
        "denied_slots": 0,
        "slot_decay_per_second": 0.0,
        "avg_slot_occupancy_seconds": 2.0,
        "updated": NOW,
    }
    found = {"id": DEPLOYMENT, "name": "nightly", "concurrency_limit_id": LIMIT, "tags": []}
    full = None if limit is None else {**row, **limit}
    return {"deployment": {**found, "concurrency_options": options or None, "limit": full}}


def run_reads(unit: Generator[Any, Any, Any], answers: Callable[[Any], Any]) -> Any:
    """Run a unit whose statements are answered by a function."""
    result: Any = None
    try:
        while True:
            result = answers(unit.send(result))
    except StopIteration as stop:
        return stop.value


def no_reads(call: Any) -> Any:
    """For units that must not ask the database anything."""
    raise AssertionError(f"unexpected statement: {call.statement.compiled('sqlite').text}")


def move(
    initial: State | None,
    proposed: State,
    *,
    kernel: FakeKernel | None = None,
    run: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    kind: str = "flow_run",
    **options: Any,
) -> Move:
    """A proposed transition, made at NOW."""
    proposed.timestamp = NOW
    if run is None:
        run = flow_run() if kind == "flow_run" else task_run()
    kernel = kernel or FakeKernel()
    anything: Any = kernel
    return Move(anything, kind, run, initial, proposed, NOW, context=context, **options)


def judged(
    made: Move,
    rules: Sequence[type[Rule]] | str,
    *,
    answers: Callable[[Any], Any] = no_reads,
    with_global: bool = False,
) -> Move:
    """Decide a move by some rules, or by a policy of that name, and give it back."""
    chosen = POLICIES[rules] if isinstance(rules, str) else resolve(Policy("test", made.kind, rules), "test", [])
    policies = [chosen]
    if with_global:
        policies.append(POLICIES["global-flow" if made.kind == "flow_run" else "global-task"])
    run_reads(decide(made, *policies), answers)
    return made


def verdict(made: Move) -> tuple[str, str | None, str | None, str | None]:
    """(status, reason, type and name of the state that would be written)."""
    written = made.validated
    return (
        made.status,
        made.details.get("reason"),
        None if written is None else written.type,
        None if written is None else written.name,
    )
