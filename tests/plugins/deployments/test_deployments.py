"""Deployments: made, changed, read and deleted, with their schedules, limits, queues and events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect_kernel.ids import uuid4
from prefect_kernel.testing import KernelUnderTest

HOURLY = {"schedule": {"interval": 3600, "anchor_date": "2026-01-01T00:00:00Z"}}
DAILY = {"schedule": {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}}
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}


def flow(kernel: KernelUnderTest, name: str = "flow") -> str:
    """The id of a flow."""
    answer = kernel.client.post("/flows/", json={"name": name, "labels": {"team": "a"}})
    found: str = answer.json()["id"]
    return found


def deploy(kernel: KernelUnderTest, name: str = "deployed", status: int = 201, **more: Any) -> dict[str, Any]:
    """A deployment as it is answered."""
    answer = kernel.client.post("/deployments/", json={"name": name, "flow_id": flow(kernel), **more})
    assert answer.status == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def read(kernel: KernelUnderTest, made: dict[str, Any]) -> dict[str, Any]:
    """The deployment as it is now."""
    found: dict[str, Any] = kernel.client.get(f"/deployments/{made['id']}").json()
    return found


def patch(kernel: KernelUnderTest, made: dict[str, Any], **body: Any) -> dict[str, Any]:
    """Change a deployment, which must succeed."""
    kernel.clock.advance(seconds=1)
    answer = kernel.client.patch(f"/deployments/{made['id']}", json=body)
    assert answer.status == 204, answer.text
    return read(kernel, made)


def told(kernel: KernelUnderTest) -> list[dict[str, Any]]:
    """The events about deployments."""
    return [event for event in kernel.events if event["event"].startswith("prefect.deployment.")]


def test_made_once_per_flow_and_name(kernel: KernelUnderTest) -> None:
    """A second POST sets what it gives, leaves the rest, and replaces the schedules."""
    made = deploy(kernel, tags=["a"], description="d", schedules=[HOURLY, {**DAILY, "slug": "s"}], parameters={"x": 1})
    assert made["labels"] == {"team": "a", "prefect.flow.id": made["flow_id"]}
    assert [one["slug"] for one in made["schedules"]] == ["s", None]  # the last one first
    assert made["schedules"][1]["schedule"]["interval"] == 3600.0
    kernel.clock.advance(seconds=1)
    again = deploy(kernel, status=200, tags=["b"], schedules=[DAILY])
    assert (again["id"], again["created"]) == (made["id"], made["created"])
    assert (again["tags"], again["description"], len(again["schedules"])) == (["b"], "d", 1)
    assert again["parameters"] == {}  # always set, as Python Prefect does
    by_name = kernel.client.get("/deployments/name/flow/deployed")
    assert by_name.json() == again == read(kernel, made)


def test_at_the_same_time(kernel: KernelUnderTest) -> None:
    """Of clients that make one deployment at once, one makes it."""
    body = {"name": "raced", "flow_id": flow(kernel), "schedules": [HOURLY], "concurrency_limit": 2}
    answers = kernel.client.together(8, "POST", "/deployments/", json=body)
    assert sorted(answer.status for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    (found,) = kernel.client.post("/deployments/filter", json={}).json()
    assert len(found["schedules"]) == 1
    assert found["global_concurrency_limit"]["limit"] == 2


def test_what_is_not_there(kernel: KernelUnderTest) -> None:
    """A flow, block, limit or pool that does not exist."""
    for status, body in (
        (409, {"flow_id": uuid4()}),
        (409, {"storage_document_id": uuid4()}),
        (404, {"global_concurrency_limit_id": uuid4()}),
        (404, {"work_pool_name": "nothing"}),
        (422, {"work_queue_name": "a/b"}),
        (422, {"name": "a/b"}),
        (422, {"concurrency_limit": 1, "global_concurrency_limit_id": uuid4()}),
    ):
        answer = kernel.client.post("/deployments/", json={"name": "x", "flow_id": flow(kernel), **body})
        assert answer.status == status, (body, answer.text)
    assert kernel.client.post("/deployments/count", json={}).json() == 0
    nothing = f"/deployments/{uuid4()}"
    assert kernel.client.patch(nothing, json={}).status == 404
    for path in ("", "/schedules"):
        assert kernel.client.get(nothing + path).status == 404
    for path in ("/pause_deployment", "/resume_deployment", "/create_flow_run"):
        assert kernel.client.post(nothing + path, json={}).status == 404


def test_a_limit_of_its_own(kernel: KernelUnderTest) -> None:
    """It is made, changed, and deleted with null and with the deployment."""
    made = deploy(kernel, concurrency_limit=2, concurrency_options={"collision_strategy": "CANCEL_NEW"})
    limit = made["global_concurrency_limit"]
    assert (limit["name"], limit["limit"]) == (f"deployment:{made['id']}", 2)
    assert made["concurrency_options"] == {"collision_strategy": "CANCEL_NEW", "grace_period_seconds": None}
    assert patch(kernel, made, concurrency_limit=5)["global_concurrency_limit"] == {
        **limit,
        "limit": 5,
        "updated": read(kernel, made)["global_concurrency_limit"]["updated"],
    }
    assert patch(kernel, made, tags=["x"])["global_concurrency_limit"]["limit"] == 5
    assert patch(kernel, made, concurrency_limit=None)["global_concurrency_limit"] is None
    assert kernel.client.get(f"/v2/concurrency_limits/{limit['id']}").status == 404
    again = patch(kernel, made, concurrency_limit=1)["global_concurrency_limit"]
    assert kernel.client.delete(f"/deployments/{made['id']}").status == 204
    assert kernel.client.get(f"/v2/concurrency_limits/{again['id']}").status == 404


def test_parameters_must_conform(kernel: KernelUnderTest) -> None:
    """On POST and PATCH, when that is asked for; nothing required need be there yet."""
    flow_id = flow(kernel)
    body = {"name": "x", "flow_id": flow_id, "parameter_openapi_schema": SCHEMA, "parameters": {"x": "no"}}
    refused = kernel.client.post("/deployments/", json={**body, "enforce_parameter_schema": True})
    assert refused.status == 422
    assert "Validation failed for field 'x'. Failure reason: 'no' is not of type 'integer'" in refused.text
    made = deploy(kernel, parameter_openapi_schema=SCHEMA, parameters={})
    bad = kernel.client.patch(f"/deployments/{made['id']}", json={"parameters": {"x": "no"}})
    assert (bad.status, bad.json()["detail"]) == (
        409,
        "Error updating deployment: Validation failed for field 'x'. Failure reason: 'no' is not of type 'integer'",
    )
    given = {"x": {"__prefect_kind": "json", "value": "3"}}
    assert patch(kernel, made, parameters=given)["parameters"] == {"x": 3}
    assert patch(kernel, made, parameters={"x": "no"}, enforce_parameter_schema=False)["parameters"] == {"x": "no"}
    assert kernel.client.patch(f"/deployments/{made['id']}", json={"enforce_parameter_schema": True}).status == 409


def test_work_queues(kernel: KernelUnderTest) -> None:
    """A queue of a pool is made when it is missing; without a pool there is none."""
    assert kernel.client.post("/work_pools/", json={"name": "pool", "type": "process"}).status == 201
    made = deploy(kernel, work_pool_name="pool", work_queue_name="new")
    assert (made["work_pool_name"], made["work_queue_name"]) == ("pool", "new")
    assert kernel.client.get("/work_pools/pool/queues/new").json()["id"] == made["work_queue_id"]
    moved = patch(kernel, made, work_pool_name="pool")
    assert moved["work_queue_name"] == "default"
    assert patch(kernel, made, work_pool_name=None)["work_queue_id"] is None
    alone = deploy(kernel, "alone", work_queue_name="queue")
    assert alone["work_pool_name"] == "default-agent-pool"


def test_schedules_are_told_apart_by_slugs(kernel: KernelUnderTest) -> None:
    """With slugs those given are changed or made, and none is deleted; without, they replace all."""
    made = deploy(kernel, schedules=[{**HOURLY, "slug": "a"}, {**DAILY, "slug": "b"}])
    ids = {one["slug"]: one["id"] for one in made["schedules"]}
    changed = patch(kernel, made, schedules=[{"slug": "a", "active": False}, {"slug": "c", **DAILY}])
    assert {one["slug"]: one["active"] for one in changed["schedules"]} == {"a": False, "b": True, "c": True}
    assert [one["slug"] for one in changed["schedules"]] == ["c", "a", "b"]  # the last one changed first
    swapped = patch(kernel, made, schedules=[{"slug": "b", "replaces": "a"}, {"slug": "a", "replaces": "b"}])
    assert {one["slug"]: one["id"] for one in swapped["schedules"] if one["slug"] != "c"} == {
        "a": ids["b"],
        "b": ids["a"],
    }
    path = f"/deployments/{made['id']}"
    for schedules in ([HOURLY], [{"slug": "new"}], [{"slug": "c", "replaces": "a"}]):
        answer = kernel.client.patch(path, json={"schedules": schedules})
        assert answer.status == 422, answer.text
    assert len(read(kernel, made)["schedules"]) == 3
    plain = deploy(kernel, "plain", schedules=[HOURLY, DAILY])
    assert len(patch(kernel, plain, schedules=[{"slug": "x", **DAILY}])["schedules"]) == 1
    assert patch(kernel, deploy(kernel, "other", schedules=[HOURLY]), schedules=[])["schedules"] == []


def test_schedules_one_by_one(kernel: KernelUnderTest) -> None:
    """Added, changed, deleted; slugs are unique in a deployment."""
    made = deploy(kernel)
    path = f"/deployments/{made['id']}/schedules"
    added = kernel.client.post(path, json=[{**HOURLY, "slug": "a", "max_scheduled_runs": 3}, DAILY])
    assert added.status == 201
    first, second = added.json()
    assert (first["slug"], first["max_scheduled_runs"], second["schedule"]["cron"]) == ("a", 3, "0 6 * * *")
    assert kernel.client.get(path).json() == [second, first]
    clash = kernel.client.post(path, json=[{**HOURLY, "slug": "a"}])
    assert clash.status == 409
    kernel.clock.advance(seconds=1)
    assert kernel.client.patch(f"{path}/{first['id']}", json={"active": False}).status == 204
    assert [(one["id"], one["active"]) for one in kernel.client.get(path).json()] == [
        (first["id"], False),
        (second["id"], True),
    ]
    assert kernel.client.patch(f"{path}/{uuid4()}", json={"active": False}).status == 404
    assert kernel.client.post(path, json=[{**HOURLY, "max_scheduled_runs": 51}]).status == 422
    assert kernel.client.delete(f"{path}/{first['id']}").status == 204
    assert kernel.client.delete(f"{path}/{first['id']}").status == 404
    assert kernel.client.get(path).json() == [second]


def _scheduled(kernel: KernelUnderTest, made: dict[str, Any]) -> list[str]:
    runs = kernel.client.post("/flow_runs/filter", json={"deployments": {"id": {"any_": [made["id"]]}}}).json()
    return sorted(run["expected_start_time"] for run in runs)


def _schedule(kernel: KernelUnderTest, made: dict[str, Any]) -> list[str]:
    start = kernel.clock.now() + timedelta(minutes=1)
    body = {"start_time": start.isoformat(), "min_runs": 2, "max_runs": 2, "min_time": 0}
    answer = kernel.client.post(f"/deployments/{made['id']}/schedule", json=body)
    assert (answer.status, answer.json()) == (200, None)
    return _scheduled(kernel, made)


def test_changes_delete_the_runs_of_schedules(kernel: KernelUnderTest) -> None:
    """Runs that a schedule has made go with every change; runs that somebody has made stay."""
    for change in ("post", "patch", "pause", "schedule", "unschedule", "delete"):
        made = deploy(kernel, change, schedules=[HOURLY])
        path, schedule = f"/deployments/{made['id']}", made["schedules"][0]["id"]
        assert len(_schedule(kernel, made)) == 2
        assert len(_schedule(kernel, made)) == 2  # each once
        mine = kernel.client.post(f"{path}/create_flow_run", json={"state": {"type": "SCHEDULED"}})
        assert mine.status == 201
        if change == "post":
            deploy(kernel, change, status=200)
        elif change == "patch":
            patch(kernel, made, tags=["new"])
        elif change == "pause":
            assert kernel.client.post(f"{path}/pause_deployment").status == 200
            assert read(kernel, made)["paused"]
        elif change == "schedule":
            assert kernel.client.patch(f"{path}/schedules/{schedule}", json={"active": False}).status == 204
        elif change == "unschedule":
            assert kernel.client.delete(f"{path}/schedules/{schedule}").status == 204
        else:
            assert kernel.client.delete(path).status == 204
        kept = kernel.client.get(f"/flow_runs/{mine.json()['id']}").status
        assert (len(_scheduled(kernel, made)), kept) == ((0, 404) if change == "delete" else (1, 200)), change


def test_events(kernel: KernelUnderTest) -> None:
    """Made, changed (what from, what to), deleted; a change of nothing is not told."""
    made = deploy(kernel, work_queue_name="q", concurrency_limit=1)
    patch(kernel, made, tags=["x"], description="d")
    patch(kernel, made, tags=["x"])
    kernel.clock.advance(seconds=1)
    deploy(kernel, status=200, version="2")
    assert kernel.client.post(f"/deployments/{made['id']}/pause_deployment").status == 200
    assert kernel.client.delete(f"/deployments/{made['id']}").status == 204
    events = told(kernel)
    assert [event["event"].rpartition(".")[2] for event in events] == ["created", "updated", "updated", "deleted"]
    created, changed, replaced, _ = events
    assert created["resource"] == {
        "prefect.resource.id": f"prefect.deployment.{made['id']}",
        "prefect.resource.name": "deployed",
    }
    assert [one["prefect.resource.role"] for one in created["related"]] == [
        "flow",
        "work-queue",
        "work-pool",
        "concurrency-limit",
    ]
    assert changed["payload"]["updates"] == {
        "tags": {"from": [], "to": ["x"]},
        "description": {"from": None, "to": "d"},
    }
    assert set(replaced["payload"]["updated_fields"]) == {"version"}


def test_events_about_limits(kernel: KernelUnderTest) -> None:
    """As Prefect tells it: that a deployment was given a limit of its own is no change, that it lost it is one."""
    made = deploy(kernel)
    for fields in ({}, {"description": "d"}):
        for slots in (1, 2, None):
            patch(kernel, made, concurrency_limit=slots, **fields)
    updates = [(event["payload"].get("updated_fields"), len(event["related"])) for event in told(kernel)]
    lost = ["concurrency_limit_id"]
    assert updates == [(None, 1), (lost, 1), (["description"], 2), (lost, 1)]


def test_deleting_many(kernel: KernelUnderTest) -> None:
    """Those that match, fifty at most."""
    names = [deploy(kernel, f"n{n}", tags=["even"] if n % 2 == 0 else [])["id"] for n in range(4)]
    answer = kernel.client.post("/deployments/bulk_delete", json={"deployments": {"tags": {"all_": ["even"]}}})
    assert answer.json() == {"deleted": sorted([names[0], names[2]])}
    assert kernel.client.post("/deployments/bulk_delete", json={"limit": 51}).status == 422
    assert len(kernel.client.post("/deployments/bulk_delete", json={}).json()["deleted"]) == 2


def test_lists(kernel: KernelUnderTest) -> None:
    """Filters, sorts, pages and counts; each deployment has its own schedules."""
    for n in range(5):
        deploy(kernel, f"n{n}", schedules=[HOURLY] * n, paused=n == 3)
        kernel.clock.advance(seconds=1)
    found = kernel.client.post("/deployments/filter", json={"sort": "NAME_DESC"}).json()
    assert [(one["name"], len(one["schedules"])) for one in found] == [(f"n{n}", n) for n in (4, 3, 2, 1, 0)]
    page = kernel.client.post("/deployments/paginate", json={"limit": 2, "page": 2, "sort": "CREATED_DESC"}).json()
    assert ([one["name"] for one in page["results"]], page["count"], page["pages"]) == (["n2", "n1"], 5, 3)
    paused = {"deployments": {"paused": {"eq_": True}}}
    assert kernel.client.post("/deployments/count", json=paused).json() == 1
    assert kernel.client.post("/deployments/paginate", json={"limit": 0}).json()["results"] == []
    assert timedelta(hours=1).total_seconds() == found[0]["schedules"][0]["schedule"]["interval"]
