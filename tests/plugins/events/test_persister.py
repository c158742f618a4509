"""Events that the server itself emits: from the outbox to where they are found."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from prefect_kernel.events import outbox
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.events.persister import BATCH

from .support import event, names, rows


def emit(kernel: KernelUnderTest, *events: dict[str, Any]) -> None:
    """Record events in the outbox, as a transition does."""

    def unit() -> Unit[None]:
        yield from kernel.kernel.events.put(*({**one, "occurred": kernel.clock.now()} for one in events))

    kernel.run(kernel.kernel.storage.write(unit))


def waiting(kernel: KernelUnderTest) -> int:
    """How many entries the outbox has."""

    def unit() -> Unit[int]:
        found = yield Statement(sa.select(sa.func.count()).select_from(outbox))()
        return found[0][0]

    return kernel.run(kernel.kernel.storage.read(unit))


def test_transitions_are_found_as_events(kernel: KernelUnderTest) -> None:
    """What a flow run went through can be found once the persister has been round, with all its resources."""
    run = kernel.flow_run(tags=["hot"])
    kernel.clock.advance(seconds=1)
    kernel.propose(run, "Running")
    assert kernel.client.post("/events/filter", json={}).json()["total"] == 0
    kernel.tick("event-persister")
    body = {"filter": {"any_resource": {"id": ["prefect.tag.hot"]}, "order": "ASC"}}
    found = kernel.client.post("/events/filter", json=body).json()["events"]
    assert names(found) == ["prefect.flow-run.Pending", "prefect.flow-run.Running"]
    assert found[1]["id"] == kernel.client.get(f"/flow_runs/{run['id']}").json()["state_id"]
    assert waiting(kernel) == 0


def test_events_are_cut_to_their_bounds(kernel: KernelUnderTest) -> None:
    """A run with more tags than an event may have related resources, and a state with a long name, are told of.

    Their events were dropped, so that no automation and no subscriber ever knew of them. Tags are what is left out.
    """
    run = kernel.flow_run(tags=[f"tag-{n:03}" for n in range(150)])
    kernel.clock.advance(seconds=1)
    answer = kernel.client.post(
        f"/flow_runs/{run['id']}/set_state", json={"state": {"type": "RUNNING", "name": "l" * 2000}}
    )
    assert answer.status == 201
    kernel.tick("event-persister")
    found = kernel.client.post("/events/filter", json={"filter": {"order": "ASC"}}).json()["events"]
    of_run = [one for one in found if one["resource"]["prefect.resource.id"] == f"prefect.flow-run.{run['id']}"]
    assert [len(one["event"]) for one in of_run] == [len("prefect.flow-run.Pending"), 1024]
    for one in of_run:
        assert len(one["related"]) == 100
        assert one["related"][0]["prefect.resource.role"] == "flow"
        assert [tag["prefect.resource.id"] for tag in one["related"][1:]] == [
            f"prefect.tag.tag-{n:03}" for n in range(99)
        ]
    assert of_run[1]["resource"]["prefect.state-name"] == "l" * 2000
    assert waiting(kernel) == 0


def test_many_events_are_moved_in_batches(kernel: KernelUnderTest) -> None:
    """One round empties the outbox, however much there is; another one finds nothing to do."""
    emit(kernel, *(event(kernel, f"test.{n}") for n in range(2 * BATCH + 3)))
    kernel.tick("event-persister")
    assert (waiting(kernel), len(rows(kernel, "events"))) == (0, 2 * BATCH + 3)
    kernel.tick("event-persister")
    assert len(rows(kernel, "events")) == 2 * BATCH + 3


def test_what_is_nested_deeply_is_moved(kernel: KernelUnderTest) -> None:
    """An event of the server can hold what clients have sent, as those of automations do; integers stay."""
    deep: Any = 2**70
    for _ in range(800):
        deep = [deep]
    emit(kernel, event(kernel, "test.deep", payload={"a": deep}))
    kernel.tick("event-persister")
    assert [one["event"] for one in rows(kernel, "events")] == ["test.deep"]
    (found,) = kernel.client.post("/events/filter", json={}).json()["events"]
    assert found["payload"] == {"a": deep}


def test_an_entry_that_is_no_event_is_dropped(kernel: KernelUnderTest) -> None:
    """It would never become one; those behind it are moved. NUL characters do not hold an event up."""
    emit(kernel, event(kernel, "test.bad", resource={}), event(kernel, "test.good", payload={"nul": "a\x00b"}))
    kernel.tick("event-persister")
    assert waiting(kernel) == 0
    assert [(one["event"], one["payload"]) for one in rows(kernel, "events")] == [("test.good", {"nul": "ab"})]


def test_a_commit_wakes_the_persister(kernel: KernelUnderTest) -> None:
    """The persister does not wait for its interval when something has been committed."""
    service = kernel.kernel.supervisor.services["event-persister"]
    assert not service._woken.is_set()
    kernel.propose(kernel.flow_run(), "Running")
    assert service._woken.is_set()


def test_without_the_persister_nothing_is_put_into_the_outbox(make_kernel: MakeKernel, database_url: str) -> None:
    """Nobody would take it out."""
    settings = {"PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": False}
    kernel = make_kernel(storage=database_url, settings=settings)
    kernel.propose(kernel.flow_run(), "Running")
    assert waiting(kernel) == 0


def test_stopping_moves_what_is_left(make_kernel: MakeKernel, database_url: str) -> None:
    """Events that were emitted last are stored before the server ends."""
    kernel = make_kernel(storage=database_url)
    emit(kernel, event(kernel, "test.last"))
    kernel.run(kernel.kernel.supervisor.services["event-persister"].stop())
    assert (waiting(kernel), names(rows(kernel, "events"))) == (0, ["test.last"])
