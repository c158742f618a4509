"""Random queries of logs."""

from __future__ import annotations

from random import Random

from ..script import Script, generator
from ._filters import filter_object


@generator(world=True, pristine=True)
def queries(s: Script, rng: Random) -> None:
    """A random filter of logs."""
    body = {"logs": filter_object(rng, "logs")}
    if rng.random() < 0.5:
        body["sort"] = rng.choice(["TIMESTAMP_ASC", "TIMESTAMP_DESC"])
    if rng.random() < 0.6:
        body |= {"limit": rng.choice([0, 1, 7, 200]), "offset": rng.choice([0, 1, 20])}
    s.post("/logs/filter", body)
