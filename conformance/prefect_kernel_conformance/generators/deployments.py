"""Random queries of deployments."""

from __future__ import annotations

from random import Random

from ..script import Script, generator
from ._queries import query

OTHERS = ("flows", "flow_runs", "task_runs", "work_pools", "work_pool_queues")


@generator(world=True, pristine=True)
def queries(s: Script, rng: Random) -> None:
    """A random filter of deployments."""
    query(s, rng, "deployments", OTHERS, ("NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC"))
