"""What is stored of events from clients, and of the task runs they tell about."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from prefect_kernel import errors
from prefect_kernel.ids import uuid4
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.events import sink as sink_module
from prefect_kernel_plugins.events.received import Received, from_frame
from prefect_kernel_plugins.events.sink import SINK

from .support import event, row, rows, send, task_event


def test_an_event_is_stored_once(kernel: KernelUnderTest) -> None:
    """An event that comes again, in the same batch or later, changes nothing; the first one stays."""
    first = event(kernel, related=[{"prefect.resource.id": "test.flow.1", "prefect.resource.role": "flow"}])
    send(kernel, first, {**first, "event": "test.other"})
    send(kernel, first)
    assert [one["event"] for one in rows(kernel, "events")] == ["test.happened"]
    assert sorted(one["resource_id"] for one in rows(kernel, "event_resources")) == ["test.flow.1", "test.thing.1"]


def test_what_cannot_be_announced_is_stored(kernel: KernelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker, of a plugin perhaps, that fails where it should not does not keep events out of the database."""

    async def fail(*_: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(kernel.kernel.broker, "publish", fail)
    for name in ("test.first", "test.second"):
        send(kernel, event(kernel, name))
    assert sorted(one["event"] for one in rows(kernel, "events")) == ["test.first", "test.second"]


def test_neighbouring_ids_are_different_events(kernel: KernelUnderTest) -> None:
    """Events whose ids differ in the last digit each have all of their resources."""
    ids = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(8)]
    related = [{"prefect.resource.id": "test.flow.1", "prefect.resource.role": "flow"}] * 3
    for id in ids:
        send(kernel, event(kernel, id=id, related=related))
    owners = [one["event_id"] for one in rows(kernel, "event_resources")]
    assert dict.fromkeys(ids, 4) == {id: owners.count(id) for id in ids}


def test_unusual_values_are_kept(kernel: KernelUnderTest) -> None:
    """Letters beyond ASCII, integers beyond 64 bits and other zones come back; NUL characters are left out."""
    sent = event(
        kernel,
        "täst \U0001f600",
        occurred="2029-12-31T23:30:00.5+05:30",
        follows="A0000000-0000-4000-8000-000000000000",
        payload={"big": 2**70, "nul\x00": ["a\x00b"], "text": 'q"\\ü'},
        unknown={"is": "ignored"},
    )
    send(kernel, sent)
    (found,) = kernel.client.post("/events/filter", json={}).json()["events"]
    assert found == {
        "id": sent["id"],
        "occurred": "2029-12-31T18:00:00.500000Z",
        "event": "täst \U0001f600",
        "resource": sent["resource"],
        "related": [],
        "payload": {"big": 2**70, "nul": ["ab"], "text": 'q"\\ü'},
        "follows": "a0000000-0000-4000-8000-000000000000",
        "received": "2030-01-01T12:00:00Z",
    }


def test_an_event_that_is_too_large_is_refused(make_kernel: MakeKernel, database_url: str) -> None:
    """Beyond PREFECT_SERVER_EVENTS_MAXIMUM_SIZE_BYTES an event is left out; blanks around its parts do not count."""
    kernel = make_kernel(storage=database_url, settings={"PREFECT_SERVER_EVENTS_MAXIMUM_SIZE_BYTES": 1000})
    small, large = event(kernel, "test.small"), event(kernel, "test.large", payload={"a": "x" * 1000})
    send(kernel, json.dumps(small, indent=200), large)
    assert kernel.client.post("/events", json=[small | {"id": uuid4()}, large | {"id": uuid4()}]).status == 204
    assert [one["event"] for one in rows(kernel, "events")] == ["test.small", "test.small"]


def test_posted_events_are_there_at_once(kernel: KernelUnderTest) -> None:
    """POST /events answers 204 without a body when its events are committed; one that is invalid refuses all."""
    events = [event(kernel, f"test.{n}") for n in range(3)]
    answer = kernel.client.post("/events", json=events)
    assert (answer.status, answer.body) == (204, b"")
    assert kernel.client.post("/events/filter", json={}).json()["total"] == 3
    refused = kernel.client.post("/events", json=[event(kernel), event(kernel, resource={})])
    assert refused.status == 422
    (detail,) = refused.json()["exception_detail"]
    assert detail["loc"] == ["body", 1, "resource"]
    assert detail["msg"] == "Value error, Resources must include the prefect.resource.id label"
    assert kernel.client.post("/events/filter", json={}).json()["total"] == 3


def test_what_is_nested_deeply_is_stored_or_refused(kernel: KernelUnderTest) -> None:
    """What is answered with 204 is there, NUL characters or not; what no database could be given is refused."""

    def post(levels: int, inner: str = "") -> tuple[str, int]:
        sent = event(kernel, f"test.{levels}")
        body = json.dumps([sent | {"payload": "DEEP"}]).replace(
            '"DEEP"', '{"a": ' * levels + f'"{inner}"' + "}" * levels
        )
        answer = kernel.client.post("/events", json=body.encode(), headers={"content-type": "application/json"})
        return sent["id"], answer.status

    for levels, inner in ((250, ""), (600, "a\\u0000b"), (899, "")):
        id, status = post(levels, inner)
        assert status == 204, levels
        assert kernel.client.post("/events/filter", json={"filter": {"id": {"id": [id]}}}).json()["total"] == 1, levels
    assert post(990)[1] == 422
    assert kernel.client.post("/events/filter", json={}).json()["total"] == 3


# ---------------------------------------------------------------- task runs
@pytest.mark.parametrize("half", ["\\ud800", "\\uDFFF", "a\\udc00\\ud800"])
@pytest.mark.parametrize("where", ["event", "resource", "label", "related", "payload", "key of the payload"])
def test_halves_of_characters_are_refused(kernel: KernelUnderTest, where: str, half: str) -> None:
    """They were acknowledged with 204, and then could not be stored."""
    wrong = event(kernel)
    match where:
        case "event":
            wrong["event"] = "HERE"
        case "resource":
            wrong["resource"] = {"prefect.resource.id": "HERE"}
        case "label":
            wrong["resource"]["HERE"] = "a"
        case "related":
            wrong["related"] = [{"prefect.resource.id": "HERE", "prefect.resource.role": "a"}]
        case "payload":
            wrong["payload"] = {"a": ["HERE"]}
        case _:
            wrong["payload"] = {"HERE": 1}
    body = json.dumps([event(kernel, "test.other"), wrong]).replace("HERE", half)
    answer = kernel.client.post("/events", json=body.encode(), headers={"content-type": "application/json"})
    assert (answer.status, answer.json()["detail"]) == (
        422,
        "Event 1 cannot be stored: it has half of a character (a lone surrogate)",
    )
    assert rows(kernel, "events") == []


def test_letters_that_look_like_halves_of_characters(kernel: KernelUnderTest) -> None:
    """Two escapes are one character, Korean letters begin with the same byte, and a backslash is just that."""
    texts = ["\U0001f600", "\ud55c\uae00", "\\ud800"]
    posted = event(kernel, payload={"texts": texts})
    assert kernel.client.post("/events", json=[posted]).status == 204
    assert row(kernel, "events", posted["id"])["payload"] == {"texts": texts}


def test_a_task_run_follows_its_events(kernel: KernelUnderTest) -> None:
    """The run has the newest state's columns, every state is kept, and both are visible through the API."""
    flow_run, run = kernel.flow_run()["id"], uuid4()
    for after, state in enumerate(("PENDING", "RUNNING", "COMPLETED")):
        send(kernel, task_event(kernel, state, run=run, flow_run=flow_run, after=after, fields={"run_count": after}))
    found = kernel.client.get(f"/task_runs/{run}").json()
    assert (found["state_type"], found["state"]["name"], found["run_count"]) == ("COMPLETED", "Completed", 2)
    assert (found["flow_run_id"], found["task_key"], found["name"]) == (flow_run, "hello-1", "hello-0")
    states = kernel.client.get("/task_run_states/", params={"task_run_id": run}).json()
    assert [state["type"] for state in states] == ["PENDING", "RUNNING", "COMPLETED"]
    assert {state["state_details"]["task_run_id"] for state in states} == {run}


def test_a_late_report_does_not_take_a_run_back(kernel: KernelUnderTest) -> None:
    """An older state that comes after a newer one is added to the run's states; the run keeps the newer one."""
    flow_run, run = kernel.flow_run()["id"], uuid4()
    completed = task_event(kernel, "COMPLETED", run=run, flow_run=flow_run, after=5)
    send(kernel, completed)
    send(kernel, task_event(kernel, "RUNNING", run=run, flow_run=flow_run, after=1, fields={"name": "old"}))
    stored = row(kernel, "task_run", run)
    assert (stored["state_id"], stored["state_name"], stored["name"]) == (completed["id"], "Completed", "hello-0")
    assert {one["name"] for one in rows(kernel, "task_run_state")} == {"Running", "Completed"}


def test_what_is_not_reported_stays(kernel: KernelUnderTest) -> None:
    """Columns that a report leaves out keep their values, its name too; a new run without a name is given one."""
    flow_run, run = kernel.flow_run()["id"], uuid4()
    send(kernel, task_event(kernel, "RUNNING", run=run, flow_run=flow_run, fields={"task_version": "v1"}))
    later = task_event(kernel, "COMPLETED", run=run, flow_run=flow_run, after=1)
    del later["payload"]["task_run"]["name"]
    send(kernel, later)
    stored = row(kernel, "task_run", run)
    assert (stored["state_type"], stored["task_version"], stored["name"]) == ("COMPLETED", "v1", "hello-0")
    nameless = task_event(kernel, "RUNNING", run=uuid4(), flow_run=flow_run, dynamic="other")
    del nameless["payload"]["task_run"]["name"]
    send(kernel, nameless)
    assert len([one for one in rows(kernel, "task_run") if "-" in one["name"]]) == 2


def test_runs_with_one_natural_key_are_one(kernel: KernelUnderTest) -> None:
    """Another id for the same flow run, task and dynamic key, in one batch or later, is the first one's run.

    Its states belong to that run and say so.
    """
    flow_run, first, second = kernel.flow_run()["id"], uuid4(), uuid4()
    send(
        kernel,
        task_event(kernel, "PENDING", run=first, flow_run=flow_run),
        task_event(kernel, "RUNNING", run=second, flow_run=flow_run, after=1),
    )
    send(kernel, task_event(kernel, "COMPLETED", run=second, flow_run=flow_run, after=2))
    (stored,) = rows(kernel, "task_run")
    assert (stored["id"], stored["state_type"]) == (first, "COMPLETED")
    states = rows(kernel, "task_run_state")
    assert {(first, first)} == {(one["task_run_id"], one["state_details"]["task_run_id"]) for one in states}
    assert len(states) == 3


def test_a_run_made_over_http_is_found_by_its_natural_key(kernel: KernelUnderTest) -> None:
    """Events with another id continue the task run that POST /task_runs/ has made for the same keys."""
    made = kernel.task_run(task_key="hello-1", dynamic_key="7")
    send(kernel, task_event(kernel, "RUNNING", run=uuid4(), flow_run=made["flow_run_id"], dynamic="7", after=9))
    assert kernel.client.get(f"/task_runs/{made['id']}").json()["state_type"] == "RUNNING"
    assert len(rows(kernel, "task_run")) == 1


def test_two_states_of_one_moment(kernel: KernelUnderTest) -> None:
    """Of two states with the same timestamp the first is the run's, also when they come in one batch."""
    flow_run, run = kernel.flow_run()["id"], uuid4()
    first = task_event(kernel, "RUNNING", run=run, flow_run=flow_run)
    send(kernel, first, task_event(kernel, "COMPLETED", run=run, flow_run=flow_run))
    assert row(kernel, "task_run", run)["state_id"] == first["id"]
    assert [first["id"]] == [one["id"] for one in rows(kernel, "task_run_state")]


def test_a_task_run_outside_of_any_flow(kernel: KernelUnderTest) -> None:
    """Without a flow run the id alone tells runs apart."""
    runs = [uuid4(), uuid4()]
    for run in runs:
        send(kernel, task_event(kernel, "PENDING", run=run, flow_run=None))
        send(kernel, task_event(kernel, "RUNNING", run=run, flow_run=None, after=1))
    assert {(run, "RUNNING", None) for run in runs} == {
        (one["id"], one["state_type"], one["flow_run_id"]) for one in rows(kernel, "task_run")
    }


def test_reports_on_a_deleted_flow_run(kernel: KernelUnderTest) -> None:
    """They are kept as events, there is no task run, and reports on other runs in the same batch are recorded."""
    gone, there, run = kernel.flow_run()["id"], kernel.flow_run()["id"], uuid4()
    assert kernel.client.delete(f"/flow_runs/{gone}").status == 204
    send(
        kernel,
        task_event(kernel, "RUNNING", run=uuid4(), flow_run=gone),
        task_event(kernel, "RUNNING", run=run, flow_run=there),
    )
    assert [run] == [one["id"] for one in rows(kernel, "task_run")]
    assert len(rows(kernel, "events")) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda e: e["payload"].pop("validated_state"),
        lambda e: e["payload"]["task_run"].pop("task_key"),
        lambda e: e["payload"]["validated_state"].update(type="BAKING"),
        lambda e: e["payload"]["task_run"].update(task_inputs={"x": [{"input_type": "nothing"}]}),
        lambda e: e["resource"].update({"prefect.resource.id": "prefect.task-run.no-id"}),
        lambda e: e["resource"].update({"prefect.resource.id": "something.else"}),
    ],
    ids=["no state", "no key", "unknown type", "unknown input", "no id", "another resource"],
)
def test_a_report_that_cannot_be_read(kernel: KernelUnderTest, spoil: Any) -> None:
    """It is kept as an event; the reports beside it are recorded."""
    flow_run, run = kernel.flow_run()["id"], uuid4()
    bad = task_event(kernel, "RUNNING", run=uuid4(), flow_run=flow_run, dynamic="bad")
    spoil(bad)
    send(kernel, bad, task_event(kernel, "RUNNING", run=run, flow_run=flow_run))
    assert [run] == [one["id"] for one in rows(kernel, "task_run")]
    assert len(rows(kernel, "events")) == 2


def test_unknown_members_of_a_report_are_ignored(kernel: KernelUnderTest) -> None:
    """A client of another version may tell more than this server knows."""
    run = uuid4()
    fields = {"mood": "good", "task_inputs": {"x": [{"input_type": "parameter", "name": "n", "colour": "red"}]}}
    sent = task_event(kernel, "RUNNING", run=run, flow_run=kernel.flow_run()["id"], fields=fields)
    sent["payload"]["validated_state"]["state_details"] = {"retriable": True, "weather": "fine"}
    send(kernel, sent)
    assert row(kernel, "task_run", run)["task_inputs"] == {"x": [{"input_type": "parameter", "name": "n"}]}
    (state,) = rows(kernel, "task_run_state")
    assert state["state_details"]["retriable"] is True
    assert "weather" not in state["state_details"]


def test_events_that_only_look_like_reports(kernel: KernelUnderTest) -> None:
    """Task run events that the server itself made are not recorded again."""
    sent = task_event(kernel, "RUNNING", run=uuid4(), flow_run=kernel.flow_run()["id"])
    del sent["resource"]["prefect.orchestration"]
    send(kernel, sent)
    assert rows(kernel, "task_run") == []


@pytest.mark.parametrize(("persister", "recorder"), [(False, True), (True, False), (False, False)])
def test_services_that_are_switched_off(
    make_kernel: MakeKernel, database_url: str, persister: bool, recorder: bool
) -> None:
    """Without the event persister no events are stored, without the recorder no task runs, and nobody waits."""
    services = "PREFECT_SERVER_SERVICES"
    settings = {f"{services}_EVENT_PERSISTER_ENABLED": persister, f"{services}_TASK_RUN_RECORDER_ENABLED": recorder}
    kernel = make_kernel(storage=database_url, settings=settings)
    send(kernel, task_event(kernel, "RUNNING", run=uuid4(), flow_run=None))
    assert (persister, recorder) == (bool(rows(kernel, "events")), bool(rows(kernel, "task_run")))


# ---------------------------------------------------------------- the sink
def received(kernel: KernelUnderTest, *events: dict[str, Any]) -> list[Received]:
    """Events as the socket hands them over."""
    taken = [from_frame(json.dumps(one), kernel.clock.now()) for one in events]
    return [one for one in taken if one is not None]


def test_an_event_that_cannot_be_stored_does_not_hold_up_others(kernel: KernelUnderTest) -> None:
    """Whatever is wrong with one event of a batch, the others are stored, and those who wait are told."""
    good = [event(kernel, f"test.{n}") for n in range(9)]
    batch = received(kernel, *good[:5], event(kernel), *good[5:])
    batch[5].payload = {"what JSON cannot say": object()}
    sink = kernel.kernel.stash[SINK]

    async def handed() -> None:
        committed = await sink.put(batch)
        sink.hurry()
        await asyncio.wait_for(committed, 10)

    kernel.run(handed())
    assert sorted(one["event"] for one in rows(kernel, "events")) == [one["event"] for one in good]
    assert sink.pending == 0


def test_a_full_sink_holds_back_who_puts(make_kernel: MakeKernel, database_url: str) -> None:
    """With as many events waiting as the limit allows, `put` returns only when some are committed."""
    kernel = make_kernel(storage=database_url, settings={"kernel.event_queue_size": 3, "kernel.event_batch_seconds": 9})
    sink = kernel.kernel.stash[SINK]
    batches = [received(kernel, event(kernel), event(kernel)) for _ in range(3)]

    async def story() -> None:
        first, second = await sink.put(batches[0]), await sink.put(batches[1])
        third = asyncio.ensure_future(sink.put(batches[2]))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not third.done()
        assert sink.pending == 4
        sink.hurry()
        await asyncio.gather(first, second)
        committed = await asyncio.wait_for(third, 10)
        sink.hurry()
        await committed

    kernel.run(story())
    assert len(rows(kernel, "events")) == 6


def test_events_wait_for_a_database_that_is_away(kernel: KernelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is written again until the database takes it; nothing is dropped, nobody is told too early."""
    monkeypatch.setattr(sink_module, "RETRY_SECONDS", 0.0)
    sink, storage = kernel.kernel.stash[SINK], kernel.kernel.storage
    write, failures = storage.write, iter([errors.StorageUnavailable(), errors.Raced(), errors.StorageUnavailable()])

    async def unreliable(*args: Any) -> Any:
        assert not committed.done()
        for failure in failures:
            raise failure
        return await write(*args)

    monkeypatch.setattr(storage, "write", unreliable)
    committed: asyncio.Future[sink_module.Refused]

    async def story() -> None:
        nonlocal committed
        committed = await sink.put(received(kernel, event(kernel)))
        sink.hurry()
        assert await asyncio.wait_for(committed, 10) == []

    kernel.run(story())
    assert list(failures) == []
    assert len(rows(kernel, "events")) == 1


def test_closing_writes_what_is_left(make_kernel: MakeKernel, database_url: str) -> None:
    """Events that nobody has waited for yet are committed when the server stops."""
    kernel = make_kernel(storage=database_url, settings={"kernel.event_batch_seconds": 9})
    sink = kernel.kernel.stash[SINK]
    kernel.run(sink.put(received(kernel, event(kernel))))
    assert sink.pending == 1
    kernel.run(kernel.kernel.close())
    again = make_kernel(storage=database_url)
    assert len(rows(again, "events")) == 1
