"""Why a run was told what it was told: dry runs of transitions, and the last real decisions.

Parts: `decisions` (what is remembered of each decision), `watching` (policies whose rules tell what they change),
`account` (a decision for people and machines), `dry_run`, `coverage` (which rules ever had a say, for the conformance
runner), `routes`, `command` (`prefect-kernel explain`). Memory is bounded by PREFECT_KERNEL_EXPLAIN_DECISIONS; a
decision costs one append. Several worker processes each remember their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from prefect_kernel import hookimpl, web
from prefect_kernel.settings import Setting

if TYPE_CHECKING:
    import click

    from prefect_kernel.app import Kernel

KEPT, WATCHED = "PREFECT_KERNEL_EXPLAIN_DECISIONS", "PREFECT_KERNEL_EXPLAIN_COVERAGE"


@hookimpl
def kernel_settings() -> Iterable[Setting]:
    return [
        Setting(
            KEPT,
            Annotated[int, Field(ge=0, le=100_000)],
            1000,
            "How many of the last decisions about runs are remembered for `explain`; 0 for none.",
        ),
        Setting(
            WATCHED,
            bool,
            False,
            "Whether it is counted what each rule does, for the conformance runner; this makes transitions slower.",
        ),
    ]


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from .routes import group

    return [group]


@asynccontextmanager
async def remembering(kernel: Kernel) -> AsyncIterator[None]:
    """Have the kernel show its decisions for as long as it lives."""
    from .coverage import COVERAGE, Coverage
    from .decisions import DECISIONS, Decisions
    from .watching import watched

    kept = kernel.settings.plugin[KEPT]
    decisions = kernel.stash[DECISIONS] = Decisions(kept)
    before, policies = kernel.on_move, kernel.policies
    if kernel.settings.plugin[WATCHED]:
        kernel.stash[COVERAGE] = coverage = Coverage(kernel, decisions)
        kernel.policies = {name: watched(policy) for name, policy in policies.items()}
        kernel.on_move = coverage.note
    elif kept:
        kernel.on_move = decisions.note
    try:
        yield
    finally:
        kernel.on_move, kernel.policies = before, policies


@hookimpl
def kernel_lifespans() -> Iterable[Any]:
    return [remembering]


@hookimpl
def kernel_commands() -> Iterable[click.Command]:
    from .command import explain

    return [explain]
