"""Random queries of flows."""

from __future__ import annotations

from random import Random

from ..script import Script, generator
from ._filters import filters
from ._mangle import mangle
from ._queries import query

OTHERS = ("flow_runs", "task_runs", "deployments", "work_pools")


@generator(world=True, pristine=True)
def queries(s: Script, rng: Random) -> None:
    """A random filter of flows."""
    query(s, rng, "flows", OTHERS, ("NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC"))


@generator(world=True, pristine=True, weight=0.5)
def wrong(s: Script, rng: Random) -> None:
    """Bodies with something wrong in them."""
    made = s.post("/flows/", {"name": s.name("flow")})
    body = {**filters(rng, "flows", OTHERS), "sort": "NAME_ASC", "limit": 5}
    mangle(s, rng, {
        ("POST", "/flows/"): {"name": s.name("flow"), "tags": ["a"], "labels": {"a": 1}},
        ("PATCH", f"/flows/{made['id']}"): {"tags": ["b", "c"]},
        ("POST", "/flows/filter"): {**body, "offset": 1},
        ("POST", "/flows/paginate"): {**body, "page": 1},
        ("POST", "/flows/count"): body,
    })  # fmt: skip
