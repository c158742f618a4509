"""Telling connected workers that their pool has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

TOPIC = "work-pool-worker-channel-snapshots"

SHOWN = frozenset({"base_job_template", "concurrency_limit", "is_paused", "storage_configuration"})
"""Members of a pool whose changes workers are told."""


async def told(kernel: Kernel, pool_id: str, reason: str, *, deleted: bool = False) -> None:
    """Say that workers should look at their pool again."""
    await kernel.broker.publish(TOPIC, {"work_pool_id": pool_id, "reason": reason, "work_pool_deleted": deleted})
