"""Leases and slots of a deployment's limit, as they are declared."""

from __future__ import annotations

from typing import Any

from prefect_kernel.declare import Declared
from prefect_kernel.ports.leases import Lease
from prefect_kernel.transition import Move

from .support import DEPLOYMENT, LIMIT, NOW, FakeKernel, flow_run, run_reads
from .support import no_reads as nothing

LEASE = "deployment_concurrency_lease_id"


def commit(made: Any) -> None:
    """Do what was declared to follow the commit."""
    for action in made.on_commit:
        action()


def lease(kernel: FakeKernel, id: str) -> Lease | None:
    """A lease of the kernel's."""
    found: Lease | None = run_reads(kernel.leases.get(id), nothing)
    return found


def hold(kernel: FakeKernel, slots: int = 1) -> Lease:
    """A lease on the deployment's limit."""
    made, declared = Lease.new([LIMIT], slots, NOW, 60), Declared()
    kernel.leases.create(declared, made)
    commit(declared)
    return made


def slots(made: Move) -> list[tuple[str, list[str], int, int | None]]:
    """What the declared writes do to slots: (verb, ids, count, rows expected)."""
    out = []
    for call, expect in made.writes:
        verb = "take" if "<=" in call.statement.compiled("sqlite").text else "give"
        out.append((verb, call.params["ids"], call.params["slots"], expect))
    return out


def answer(rows: list[Any], _: Any) -> list[Any]:
    """Answer every statement with the same rows."""
    return rows


def deployed(**columns: Any) -> dict[str, Any]:
    """A run of the deployment."""
    return flow_run(deployment_id=DEPLOYMENT, **columns)
