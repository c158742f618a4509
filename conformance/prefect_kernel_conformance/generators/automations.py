"""Random automations: triggers of every shape, actions of every kind, changes, filters over the case's own."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Ref, Script, generator
from ..sequences._bad_input import OTHERS_ROWS
from ..sequences.automations import TEMPLATES, actions
from ._mangle import mangle

TAGS = ("a", "b", "per%cent", "ü")
EVENTS = ("conformance.never", "conformance.never.*", "conformance.n?ver", "!conformance.*", "conformance.[ab]")
"""Names that no event of others has."""
RUN_EVENTS = ("prefect.flow-run.*", "prefect.flow-run.Running", "prefect.flow-run.Completed", *EVENTS)
LABELS = ("prefect.resource.id", "prefect.resource.name", "colour", "related:flow:prefect.resource.id", "")
VALUES = ("prefect.flow-run.*", "prefect.flow-run.x", "!blue", "*", "", ["a", "b*"], [], ["prefect.flow-run.*", "x"])
SPANS = (0, 1, 9.5, 10, 60, 3600.25, "PT1M", "P1DT0.5S", "60", "00:10:00", 1e9)


def _specification(rng: Random) -> dict[str, Any]:
    return {label: rng.choice(VALUES) for label in rng.sample(LABELS, rng.choice([0, 1, 1, 2]))}


def _event_trigger(rng: Random, events: tuple[str, ...]) -> dict[str, Any]:
    made: dict[str, Any] = {"posture": rng.choice(["Reactive", "Reactive", "Proactive"])}
    made["expect"] = rng.sample(events, rng.choice([1, 1, 2]))
    if rng.random() < 0.9:
        made["type"] = "event"
    if rng.random() < 0.3:
        made["after"] = rng.sample(events, 1)
    if rng.random() < 0.3:
        made["for_each"] = rng.sample(LABELS, rng.choice([0, 1, 2]))
    if rng.random() < 0.5:
        made["match"] = _specification(rng)
    if rng.random() < 0.5:
        made["match_related"] = rng.choice(
            [_specification(rng), [_specification(rng) for _ in range(rng.randrange(3))]]
        )
    if rng.random() < 0.5:
        made["threshold"] = rng.choice([0, 1, 3, -1, "2", 2.0])
    if rng.random() < 0.6:
        made["within"] = rng.choice(SPANS)
    return made


def _trigger(rng: Random, events: tuple[str, ...] = EVENTS, depth: int = 0) -> dict[str, Any]:
    if depth > 2 or rng.random() < 0.6:
        return _event_trigger(rng, events)
    made: dict[str, Any] = {
        "type": rng.choice(["compound", "sequence"]),
        "triggers": [_trigger(rng, events, depth + 1) for _ in range(rng.choice([0, 1, 2, 2, 3]))],
    }
    if rng.random() < 0.9:
        made["within"] = rng.choice([None, *SPANS])
    if made["type"] == "compound" or rng.random() < 0.1:
        made["require"] = rng.choice(["any", "all", 1, 2, 3, 0, "some"])
    return made


def _automation(s: Script, rng: Random, name: str, *, enabled: bool | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "trigger": _trigger(rng), "actions": _some(s, rng)}
    if rng.random() < 0.4:
        made["description"] = rng.choice(["", "ü ✓", "x" * 300])
    if rng.random() < 0.5:
        made["tags"] = rng.sample(TAGS, rng.randrange(3))
    if rng.random() < 0.3:
        made[rng.choice(["actions_on_trigger", "actions_on_resolve"])] = _some(s, rng)
    if enabled is not None or rng.random() < 0.4:
        made["enabled"] = rng.random() < 0.5 if enabled is None else enabled
    return made


def _some(s: Script, rng: Random) -> list[dict[str, Any]]:
    known = actions(s)
    made = [dict(one) for one in rng.sample(known, rng.choice([0, 1, 1, 2, 3]))]
    for one in made:
        if rng.random() < 0.15:  # inferred with an id, or chosen without one
            one["source"] = rng.choice(["inferred", "selected"])
        if one["type"] == "run-deployment" and rng.random() < 0.6:
            one["parameters"] = {
                "a": rng.choice(["{{ event.id }}", "{{ a", "{{ a }} b", [1, "{{ x }}"], {"b": "{{ y }}"}])
            }
    return made


@generator
def lives(s: Script, rng: Random) -> None:
    """A few automations are made, changed, listed and deleted."""
    names = [s.name(f"a-{number}") for number in range(rng.randrange(1, 4))]
    made = []
    for name in names:
        body = _automation(s, rng, name)
        if rng.random() < 0.3:
            body["owner_resource"] = s.name("owner")
        made.append(s.post("/automations/", body))
        s.rows("automation", name=name)
    for _ in range(rng.randrange(2, 6)):
        path = f"/automations/{rng.choice(made)['id']}"
        match rng.randrange(8):
            case 0 | 1:
                s.patch(path, {"enabled": rng.random() < 0.5})
            case 2 | 3:
                s.put(path, _automation(s, rng, rng.choice(names)))
            case 4:
                s.delete(path)
            case 5:
                owner = rng.choice([s.name("owner"), f"prefect.deployment.{s.uuid('target')}"])
                s.get(f"/automations/related-to/{owner}", unordered=("body",))
            case 6:
                s.delete(f"/automations/owned-by/{s.name('owner')}")
            case _:
                _list(s, rng, names)
        s.get(path)
    _list(s, rng, names)
    for name in names:
        s.rows("automation", order_by="created", name=name)
    _delete(s, made)


def _delete(s: Script, made: list[Ref]) -> None:
    """Delete automations: those that wait for nothing to happen would act every few seconds for ever."""
    for automation in made:
        s.delete(f"/automations/{automation['id']}")


def _list(s: Script, rng: Random, names: list[str]) -> None:
    automations: dict[str, Any] = {"name": {"any_": rng.sample(names, rng.randrange(1, len(names) + 1))}}
    if rng.random() < 0.6:
        tags = rng.sample(TAGS, rng.randrange(3))
        automations["tags"] = rng.choice([
            {"all_": tags}, {"any_": tags}, {"is_null_": rng.random() < 0.5},
            {"operator": "or_", "all_": ["a"], "is_null_": True},
        ])  # fmt: skip
    body: dict[str, Any] = {"automations": automations, "sort": rng.choice(["NAME_ASC", "NAME_DESC", "CREATED_DESC"])}
    if rng.random() < 0.4:
        body |= {"limit": rng.choice([0, 1, 2, 200]), "offset": rng.choice([0, 1, 3])}
    s.post("/automations/filter", body)
    s.post("/automations/count", {"automations": automations})


@generator
def loops(s: Script, rng: Random) -> None:
    """Automations that run deployments on events of flow runs, made disabled and enabled then."""
    body = _automation(s, rng, s.name("loop"), enabled=rng.random() < 0.2)
    body["trigger"] = _trigger(rng, RUN_EVENTS, depth=rng.choice([0, 3, 3]))
    run = rng.choice([{"source": "inferred"}, {"deployment_id": s.uuid("target")}])
    body["actions"] = [*body["actions"], {"type": "run-deployment", **run}]
    made = s.post("/automations/", body)
    s.patch(f"/automations/{made['id']}", {"enabled": True})
    s.patch(f"/automations/{made['id']}", {"enabled": False})
    s.get(f"/automations/{made['id']}")
    s.delete(f"/automations/{made['id']}")


@generator
def templates(s: Script, rng: Random) -> None:
    """Texts that are templates, or not."""
    for _ in range(rng.randrange(1, 5)):
        text = " ".join(rng.sample(TEMPLATES, rng.choice([1, 1, 2, 3])))
        s.post(rng.choice(["/templates/validate", "/automations/templates/validate"]), text)


@generator
def wrong(s: Script, rng: Random) -> None:
    """Bodies with something wrong in them."""
    made = s.post("/automations/", _automation(s, rng, s.name("a"), enabled=False))
    id = made["id"]
    mine = {"automations": {"name": {"any_": [s.name("a")]}, "tags": {"is_null_": True, "all_": ["a"]}}, "limit": 3}
    sent = mangle(s, rng, {
        ("POST", "/automations/"): _automation(s, rng, s.name("b"), enabled=False),
        ("PUT", f"/automations/{id}"): _automation(s, rng, s.name("c"), enabled=False),
        ("PATCH", f"/automations/{id}"): {"enabled": False},
        ("POST", "/automations/filter"): {**mine, "offset": 0, "sort": "NAME_ASC"},
        ("POST", "/automations/count"): mine,
    }, ignore=OTHERS_ROWS)  # fmt: skip
    s.get(f"/automations/{id}")
    _delete(s, [made, *(answer for method, path, answer in sent if (method, path) == ("POST", "/automations/"))])
