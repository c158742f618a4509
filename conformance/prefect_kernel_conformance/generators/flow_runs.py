"""Random queries of flow runs."""

from __future__ import annotations

from random import Random

from .. import world
from ..script import Script, generator
from ._filters import filters
from ._queries import history, query

OTHERS = ("flows", "task_runs", "deployments", "work_pools", "work_pool_queues")
SORTS = ("ID_DESC", "NAME_ASC", "NAME_DESC", "EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC")


@generator(world=True, pristine=True, weight=8)
def queries(s: Script, rng: Random) -> None:
    """A random filter of flow runs."""
    query(s, rng, "flow_runs", OTHERS, SORTS)


@generator(world=True, pristine=True)
def histories(s: Script, rng: Random) -> None:
    """A random history of flow runs."""
    first = rng.randrange(-60, 900)
    others = ("flows", "task_runs", "deployments", "work_pools")
    history(s, rng, "flow_runs", others, world.when(first), world.when(first + rng.choice([30, 240, 1440])))


@generator(world=True, pristine=True)
def lateness(s: Script, rng: Random) -> None:
    """The average lateness of random runs."""
    s.post("/flow_runs/lateness", filters(rng, "flow_runs", OTHERS), tolerance=5)
