"""Random queries of work queues."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Script, generator
from ._filters import filter_object


@generator(world=True, pristine=True)
def queries(s: Script, rng: Random) -> None:
    """A random filter of queues; several have one name, so whole lists only are compared, without their order."""
    body: dict[str, Any] = {"work_queues": filter_object(rng, "work_pool_queues")}
    s.post("/work_queues/filter", body, unordered=("body",))
