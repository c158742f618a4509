"""When triggers fire: each kind, on a clock that stands still until it is moved."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest

_COUNTS = {
    name: Statement(sa.text(f"SELECT count(*) AS n FROM {name}"))
    for name in (
        "kernel_trigger_event kernel_automation_firing kernel_automation_action automation_bucket"
        " automation_event_follower composite_trigger_child_firing"
    ).split()
}


def count(kernel: KernelUnderTest, table: str) -> int:
    """The number of rows of a table."""

    def unit() -> Unit[int]:
        rows = yield _COUNTS[table]()
        return int(rows[0][0])

    return kernel.run(kernel.kernel.storage.read(unit))


def watch(kernel: KernelUnderTest, trigger: dict[str, Any], **fields: Any) -> str:
    """Make an automation that does nothing; its id."""
    body = {"name": "watch", "trigger": trigger, "actions": [{"type": "do-nothing"}], **fields}
    answer = kernel.client.post("/automations/", json=body)
    assert answer.status == 201, answer.text
    return str(answer.json()["id"])


def event(**more: Any) -> dict[str, Any]:
    """An event trigger."""
    return {"type": "event", "posture": "Reactive", **more}


def send(kernel: KernelUnderTest, name: str, of: str = "r", at: datetime | float = 0, **fields: Any) -> str:
    """Send an event that occurred at a time, or so many seconds from now; its id. Not looked at yet."""
    occurred = kernel.clock.now() + timedelta(seconds=at) if isinstance(at, int | float) else at
    body = {
        "id": uuid4(),
        "occurred": occurred.isoformat(),
        "event": name,
        "resource": {"prefect.resource.id": of},
        **fields,
    }
    assert kernel.client.post("/events", json=[body]).status == 204
    return str(body["id"])


def look(kernel: KernelUnderTest, **duration: float) -> int:
    """Let the service look, after a time; how often automations have fired in all."""
    if duration:
        kernel.clock.advance(**duration)
    kernel.tick("triggers")
    return count(kernel, "kernel_automation_firing")


def test_without_automations_nothing_is_queued(kernel: KernelUnderTest) -> None:
    """Taking events in costs nothing more; a disabled automation changes nothing in that."""
    send(kernel, "a")
    watch(kernel, event(), enabled=False)
    send(kernel, "a")
    assert count(kernel, "kernel_trigger_event") == 0
    assert look(kernel) == 0


def test_reactive_at_once(kernel: KernelUnderTest) -> None:
    """Each event that fits fires, once, though it is sent twice; its firing, event and action are recorded."""
    id = watch(kernel, event(expect=["a*"], match={"prefect.resource.id": ["r*", "!x"]}))
    body = {
        "id": uuid4(),
        "occurred": kernel.clock.now().isoformat(),
        "event": "abc",
        "resource": {"prefect.resource.id": "r1"},
    }
    for _ in range(3):
        assert kernel.client.post("/events", json=[body]).status == 204
    send(kernel, "b", "r1")
    assert look(kernel) == 1
    assert look(kernel) == 1
    assert count(kernel, "kernel_automation_action") == 1
    assert count(kernel, "automation_bucket") == 0
    assert count(kernel, "kernel_trigger_event") == 0
    (told,) = [one for one in kernel.events if one["event"] == "prefect.automation.triggered"]
    assert told["resource"] == {
        "prefect.resource.id": f"prefect.automation.{id}",
        "prefect.resource.name": "watch",
        "prefect.posture": "Reactive",
    }
    assert told["related"] == [
        {"prefect.resource.id": f"prefect.event.{body['id']}", "prefect.resource.role": "triggering-event"}
    ]
    assert told["payload"]["triggering_event"]["id"] == body["id"]


def test_reactive_threshold_within_a_time(kernel: KernelUnderTest) -> None:
    """Three within ten seconds fire; then a new window begins."""
    watch(kernel, event(expect=["a"], threshold=3, within=10))
    send(kernel, "a")
    send(kernel, "a")
    assert look(kernel) == 0
    send(kernel, "a")
    assert look(kernel) == 1
    send(kernel, "a")
    assert look(kernel) == 1
    for _ in range(3):
        send(kernel, "a", at=11)
    assert look(kernel) == 2


def test_for_each(kernel: KernelUnderTest) -> None:
    """Counted apart for each value of a label, of the resource or of one that is related."""
    watch(kernel, event(expect=["a"], threshold=2, within=60, for_each=["prefect.resource.id", "related:flow:x"]))
    related = [{"prefect.resource.id": "f", "prefect.resource.role": "flow", "x": "é"}]
    send(kernel, "a", "one", related=related)
    send(kernel, "a", "two", related=related)
    assert look(kernel) == 0
    assert count(kernel, "automation_bucket") == 2
    send(kernel, "a", "one", related=related)
    assert look(kernel) == 1
    (told,) = [one for one in kernel.events if one["event"] == "prefect.automation.triggered"]
    assert told["payload"]["triggering_labels"] == {"prefect.resource.id": "one", "related:flow:x": "é"}


def test_after(kernel: KernelUnderTest) -> None:
    """What is expected counts only after what must come first."""
    watch(kernel, event(after=["start"], expect=["end"], within=30))
    send(kernel, "end")
    assert look(kernel) == 0
    send(kernel, "start")
    send(kernel, "end", at=5)
    assert look(kernel) == 1
    send(kernel, "end", at=6)
    assert look(kernel) == 1


def test_one_event_that_starts_and_counts(kernel: KernelUnderTest) -> None:
    """The first only starts the counting."""
    watch(kernel, event(after=["a"], expect=["a"], within=30))
    send(kernel, "a")
    assert look(kernel) == 0
    send(kernel, "a", at=1)
    assert look(kernel) == 1


def test_proactive(kernel: KernelUnderTest) -> None:
    """Fires once the time is over in which too little happened, and not when enough has."""
    watch(kernel, event(posture="Proactive", expect=["beat"], within=60))
    assert look(kernel) == 0
    send(kernel, "beat", at=10)
    assert look(kernel, seconds=30) == 0
    assert look(kernel, seconds=31) == 0
    # From here on nothing happens.
    fired = [look(kernel, seconds=10) for _ in range(20)]
    assert fired[-1] >= 1
    assert fired == sorted(fired)
    assert count(kernel, "kernel_automation_firing") <= 3


def test_proactive_after(kernel: KernelUnderTest) -> None:
    """A run that has begun and does not end in time: it fires once for it, and not for the one that ended."""
    watch(
        kernel,
        event(posture="Proactive", after=["begin"], expect=["end"], within=60, for_each=["prefect.resource.id"]),
    )
    send(kernel, "begin", "late")
    send(kernel, "begin", "good")
    send(kernel, "end", "good", at=5)
    assert look(kernel, seconds=30) == 0
    assert look(kernel, seconds=60) == 1
    assert look(kernel, minutes=5) == 1
    (told,) = [one for one in kernel.events if one["event"] == "prefect.automation.triggered"]
    assert told["payload"]["triggering_labels"] == {"prefect.resource.id": "late"}
    assert count(kernel, "automation_bucket") == 0


def compound(kind: str = "compound", **more: Any) -> dict[str, Any]:
    """A trigger with two parts."""
    return {"type": kind, "triggers": [event(expect=["a"]), event(expect=["b"])], "within": 60, **more}


def test_compound(kernel: KernelUnderTest) -> None:
    """All of its parts, in whatever order, within the time; then it begins anew."""
    watch(kernel, compound(require="all"))
    send(kernel, "b")
    send(kernel, "b")
    assert look(kernel) == 0
    assert count(kernel, "composite_trigger_child_firing") == 1
    send(kernel, "a")
    assert look(kernel) == 1
    assert count(kernel, "composite_trigger_child_firing") == 0
    send(kernel, "a")
    assert look(kernel) == 1
    send(kernel, "b")
    assert look(kernel) == 2


def test_compound_forgets_what_is_long_ago(kernel: KernelUnderTest) -> None:
    """A part that fired before the time does not count."""
    watch(kernel, compound(require="all"))
    send(kernel, "a")
    assert look(kernel) == 0
    kernel.clock.advance(seconds=61)
    send(kernel, "b")
    assert look(kernel) == 0


def test_compound_any(kernel: KernelUnderTest) -> None:
    """One is enough."""
    watch(kernel, compound(require="any"))
    send(kernel, "b")
    assert look(kernel) == 1


def test_sequence(kernel: KernelUnderTest) -> None:
    """Only in the order of its parts."""
    watch(kernel, compound("sequence"))
    send(kernel, "b")
    look(kernel)
    send(kernel, "a")
    assert look(kernel) == 0
    send(kernel, "b")
    assert look(kernel) == 1


def test_nested(kernel: KernelUnderTest) -> None:
    """A compound within a sequence, all of it in one batch."""
    inner = compound(require="all")
    watch(kernel, {"type": "sequence", "within": None, "triggers": [inner, event(expect=["c"])]})
    for name in "bac":
        send(kernel, name)
    assert look(kernel) == 1


def test_effects_wait_for_their_causes(kernel: KernelUnderTest) -> None:
    """An event that follows another is looked at after it, also when it came long before."""
    watch(kernel, compound("sequence"))
    cause = uuid4()
    send(kernel, "b", follows=cause)
    assert look(kernel) == 0
    assert count(kernel, "automation_event_follower") == 1
    send(kernel, "a", id=cause)
    assert look(kernel) == 1
    assert count(kernel, "automation_event_follower") == 0


def test_effects_of_one_batch(kernel: KernelUnderTest) -> None:
    """The same where both are looked at together, and over several steps."""
    watch(kernel, compound("sequence"))
    first, second = uuid4(), uuid4()
    send(kernel, "b", follows=second)
    send(kernel, "other", id=second, follows=first)
    send(kernel, "a", id=first)
    assert look(kernel) == 1


def test_causes_that_never_come(kernel: KernelUnderTest) -> None:
    """After a quarter of an hour an event is looked at without its cause; events that follow one another too."""
    watch(kernel, event(expect=["a"]))
    one, other = uuid4(), uuid4()
    send(kernel, "a", follows=uuid4())
    send(kernel, "a", id=one, follows=other)
    send(kernel, "a", id=other, follows=one)
    assert look(kernel) == 0
    assert look(kernel, minutes=14) == 0
    assert look(kernel, minutes=2) == 3
    assert count(kernel, "automation_event_follower") == 0


def test_a_put_begins_anew(kernel: KernelUnderTest) -> None:
    """What was counted before does not count; and a disabled automation sees nothing."""
    trigger = event(expect=["a"], threshold=2, within=60)
    id = watch(kernel, trigger)
    send(kernel, "a")
    assert look(kernel) == 0
    body = {"name": "watch", "trigger": trigger, "actions": []}
    assert kernel.client.put(f"/automations/{id}", json=body).status == 204
    send(kernel, "a")
    assert look(kernel) == 0
    send(kernel, "a")
    assert look(kernel) == 1
    assert count(kernel, "kernel_automation_action") == 0
    kernel.client.patch(f"/automations/{id}", json={"enabled": False})
    for _ in range(2):
        send(kernel, "a")
    assert look(kernel) == 1


def test_buckets_of_one_batch(kernel: KernelUnderTest) -> None:
    """A count that was stored, and ends and begins again within one batch, does not come back."""
    watch(kernel, event(expect=["a"], threshold=2))
    send(kernel, "a")
    assert look(kernel) == 0
    for _ in range(4):
        send(kernel, "a")
    assert look(kernel) == 2
    send(kernel, "a")
    assert look(kernel) == 3
    assert count(kernel, "automation_bucket") == 0


def test_what_waits_for_one_that_is_lost(kernel: KernelUnderTest) -> None:
    """An event that follows one which waits in vain is looked at with it; one that follows itself does not wait."""
    watch(kernel, event(expect=["a"]))
    lost, own = uuid4(), uuid4()
    send(kernel, "a", id=own, follows=own)
    send(kernel, "a", id=lost, follows=uuid4())
    assert look(kernel) == 1
    kernel.clock.advance(minutes=10)
    send(kernel, "a", follows=lost)
    assert look(kernel) == 1
    assert look(kernel, minutes=6) == 3
    assert count(kernel, "automation_event_follower") == 0


def test_what_comes_after_its_cause_keeps_its_place(kernel: KernelUnderTest) -> None:
    """Events of one batch are looked at as they came, unless an effect came before its cause."""
    watch(kernel, {"type": "sequence", "within": None, "triggers": [event(expect=[one]) for one in "abc"]})
    cause = uuid4()
    send(kernel, "a", id=cause)
    send(kernel, "b")
    send(kernel, "c", follows=cause)
    assert look(kernel) == 1


def test_an_automation_that_was_disabled_for_a_moment(kernel: KernelUnderTest) -> None:
    """It is looked at the next time, as a new one is, whether or not anybody has looked meanwhile."""
    id = watch(kernel, event(posture="Proactive", after=["a"], expect=["b"], within=10))
    assert look(kernel) == 0
    assert look(kernel, seconds=10) == 1
    kernel.clock.advance(seconds=1)
    for enabled in (False, True):
        assert kernel.client.patch(f"/automations/{id}", json={"enabled": enabled}).status == 204
    assert look(kernel, seconds=5) == 1
    assert look(kernel, seconds=10) == 2


def test_an_automation_that_was_disabled(kernel: KernelUnderTest) -> None:
    """What did not happen while it was disabled does not count once it is enabled again."""
    id = watch(kernel, event(posture="Proactive", expect=["a"], within=60))
    assert look(kernel) == 0
    kernel.client.patch(f"/automations/{id}", json={"enabled": False})
    assert look(kernel, seconds=10) == 0
    kernel.clock.advance(minutes=10)
    kernel.client.patch(f"/automations/{id}", json={"enabled": True})
    send(kernel, "a")  # before anybody has looked
    assert look(kernel) == 0
    assert look(kernel, seconds=65) == 0
    assert look(kernel, seconds=65) == 1


def test_a_clock_that_is_set_back(kernel: KernelUnderTest) -> None:
    """What was put off by the old time is looked at by the new one."""
    watch(kernel, event(expect=["b"], within=60))
    late = watch(kernel, event(posture="Proactive", expect=["a"], within=60))
    kernel.clock.advance(hours=2)
    assert look(kernel) == 0
    kernel.clock._now -= timedelta(hours=2)
    assert kernel.client.delete(f"/automations/{late}").status == 204
    watch(kernel, event(posture="Proactive", expect=["a"], within=10))
    assert look(kernel) == 0
    assert look(kernel, seconds=11) == 1
    send(kernel, "b")
    assert look(kernel) == 2


def test_times_beyond_the_end_of_time(kernel: KernelUnderTest) -> None:
    """A window without end holds up nothing."""
    for posture in ("Proactive", "Reactive"):
        watch(kernel, event(posture=posture, expect=["a"], within=8e13, threshold=2))
    watch(kernel, event(expect=["a"]))
    for _ in range(2):
        send(kernel, "a")
    assert look(kernel) == 3


def test_an_automation_that_cannot_be_read(kernel: KernelUnderTest) -> None:
    """It is not evaluated, and the others are."""
    bad = watch(kernel, event(expect=["a"]))
    watch(kernel, event(expect=["a"]))
    broken = Statement(sa.text('UPDATE automation SET trigger = \'{"type": "of a plugin"}\' WHERE id = :id'))

    def unit() -> Unit[None]:
        yield broken(id=bad)

    kernel.run(kernel.kernel.storage.write(unit))
    send(kernel, "a")
    assert look(kernel) == 1
