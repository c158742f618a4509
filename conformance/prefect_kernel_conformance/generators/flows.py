"""Random queries of flows."""

from __future__ import annotations

from random import Random

from ..script import Script, generator
from ._queries import query

OTHERS = ("flow_runs", "task_runs", "deployments", "work_pools")


@generator(world=True, pristine=True)
def queries(s: Script, rng: Random) -> None:
    """A random filter of flows."""
    query(s, rng, "flows", OTHERS, ("NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC"))
