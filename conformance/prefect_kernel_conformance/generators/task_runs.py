"""Random queries of task runs."""

from __future__ import annotations

from random import Random

from .. import world
from ..script import Script, generator
from ._queries import history, query

OTHERS = ("flows", "flow_runs", "deployments")
SORTS = ("ID_DESC", "NAME_ASC", "NAME_DESC", "EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC")


@generator(world=True, pristine=True, weight=8)
def queries(s: Script, rng: Random) -> None:
    """A random filter of task runs."""
    query(s, rng, "task_runs", OTHERS, SORTS)


@generator(world=True, pristine=True)
def histories(s: Script, rng: Random) -> None:
    """A random history of task runs."""
    first = rng.randrange(-60, 900)
    history(s, rng, "task_runs", OTHERS, world.when(first), world.when(first + rng.choice([30, 240, 1440])))
