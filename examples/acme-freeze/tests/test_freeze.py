"""Runs wait while a freeze lasts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from prefect_kernel.testing import KernelUnderTest, MakeKernel


@pytest.fixture
def kernel(make_kernel: MakeKernel) -> KernelUnderTest:
    """A kernel with the plugin."""
    made: KernelUnderTest = make_kernel("acme_freeze")
    return made


def freeze(kernel: KernelUnderTest, **lasts: float) -> dict[str, str]:
    """Declare a freeze that begins now."""
    now = kernel.clock.now()
    body = {"starts": now, "ends": now + timedelta(**lasts), "reason": "quarter end"}
    answer = kernel.client.post("/acme/freezes/", json=body)
    assert answer.status == 201, answer.text
    made: dict[str, str] = answer.json()
    return made


def test_a_start_waits_for_the_end_of_a_freeze(kernel: KernelUnderTest) -> None:
    """During a freeze a start is put off until its end; after it the run starts."""
    run = kernel.flow_run()
    freeze(kernel, minutes=10)

    held = kernel.propose(run, "Running")
    assert (held.status, held.reason) == ("WAIT", "A change freeze is on: quarter end")
    assert held.details["delay_seconds"] == 600
    assert held.rules[-1] == "acme.HoldDuringFreeze"

    kernel.clock.advance(minutes=10)
    assert kernel.propose(run, "Running").status == "ACCEPT"


def test_a_freeze_can_be_called_off(kernel: KernelUnderTest) -> None:
    """A deleted freeze holds nothing up, and is not listed any more."""
    made = freeze(kernel, hours=1)
    assert kernel.client.get("/acme/freezes/").json() == [made]
    assert kernel.client.delete(f"/acme/freezes/{made['id']}").status == 204
    assert kernel.client.delete(f"/acme/freezes/{made['id']}").status == 404
    assert kernel.client.get("/acme/freezes/").json() == []
    assert kernel.propose(kernel.flow_run(), "Running").status == "ACCEPT"


def test_other_transitions_are_not_touched(kernel: KernelUnderTest) -> None:
    """During a freeze a run can still become pending, or be cancelled."""
    freeze(kernel, hours=1)
    run = kernel.flow_run(state={"type": "SCHEDULED"})
    assert kernel.propose(run, "Pending").status == "ACCEPT"
    assert kernel.propose(run, "Cancelled").status == "ACCEPT"


def test_how_long_a_freeze_may_last(make_kernel: MakeKernel) -> None:
    """The setting bounds how long a freeze may last; one that ends before it starts is no freeze."""
    kernel = make_kernel("acme_freeze", settings={"PREFECT_KERNEL_ACME_FREEZE_MAX_DAYS": 2})
    now = kernel.clock.now()
    for days, status in ((2, 201), (3, 422), (-1, 422)):
        body = {"starts": now, "ends": now + timedelta(days=days), "reason": "holidays"}
        assert kernel.client.post("/acme/freezes/", json=body).status == status


def test_where_the_rule_stands(kernel: KernelUnderTest) -> None:
    """The rule stands between the two core rules that it names."""
    names = [rule.rule_name() for rule in kernel.kernel.policies["core-flow"].rules]
    at = names.index("acme.HoldDuringFreeze")
    assert (names[at - 1], names[at + 1]) == ("WaitForScheduledTime", "RetryFailedFlows")
