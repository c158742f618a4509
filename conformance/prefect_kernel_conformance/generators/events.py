"""Random queries of events."""

from __future__ import annotations

from random import Random
from typing import Any

from .. import world
from ..script import Script, generator
from ._filters import some

# All events of the data set lie in here, and none that other cases make.
WINDOW = {"since": world.when(-60), "until": world.when(600)}


def _resources(rng: Random) -> list[str]:
    flows = [f"prefect.flow.{world.world_id('flow', number)}" for number in range(world.FLOWS)]
    runs = [f"prefect.flow-run.{world.world_id('flow_run', number)}" for number in range(20)]
    return some(flows + runs, 6)(rng)


def _labels(rng: Random) -> dict[str, list[str]]:
    values = [*world.TAGS, "bl*", "!blue", "?ed", "*", "no", "!gr*"]
    return {
        rng.choice(["colour", "prefect.resource.name", "nope"]): some(values)(rng) for _ in range(rng.choice([1, 2]))
    }


def _part(rng: Random, key: str) -> Any:
    match key:
        case "event":
            which = rng.choice(["prefix", "exclude_prefix", "name", "exclude_name"])
            return {which: some([*world.EVENT_NAMES, "prefect.", "my", "M"])(rng)}
        case "resource":
            return rng.choice([
                {"id": _resources(rng)}, {"id_prefix": ["prefect.flow-run."]}, {"labels": _labels(rng)},
                {"distinct": True}, {"id": _resources(rng), "distinct": rng.random() < 0.5},
            ])  # fmt: skip
        case "related":
            roles = some(["flow", "tag", "owner"])
            return rng.choice([
                {"id": _resources(rng)}, {"role": roles(rng)}, {"labels": _labels(rng)},
                {"resources_in_roles": [[resource, rng.choice(["flow", "tag"])] for resource in _resources(rng)]},
                [{"role": roles(rng)}, {"role": roles(rng)}],
            ])  # fmt: skip
        case "any_resource":
            return rng.choice([{"id": _resources(rng)}, {"id_prefix": ["prefect.flow."]}, {"labels": _labels(rng)}])
        case "id":
            return {"id": [world.world_id("event", rng.randrange(world.EVENTS + 5)) for _ in range(rng.randrange(9))]}
        case _:
            words = ["größe", "GRÖSSE", "my", "-my", "+other", '"100%"', "blue red", "!alpha", "%", "prefect.flow-run"]
            return {"query": rng.choice(words)}


@generator(world=True, pristine=True)
def queries(s: Script, rng: Random) -> None:
    """A random filter of events."""
    keys = rng.sample(["event", "resource", "related", "any_resource", "id", "text"], rng.choice([0, 1, 1, 2, 3]))
    body: dict[str, Any] = {"filter": {"occurred": WINDOW, **{key: _part(rng, key) for key in keys}}}
    if rng.random() < 0.6:
        body["filter"]["order"] = rng.choice(["ASC", "DESC"])
    if rng.random() < 0.6:
        body["limit"] = rng.choice([0, 1, 3, 10, 50])
    s.post("/events/filter", body)
