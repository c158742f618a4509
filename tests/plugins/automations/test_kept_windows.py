"""Windows of proactive triggers that nobody has looked at in time."""

from __future__ import annotations

from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.automations.watching import take_events

from .test_triggers import event, look, send, watch


def test_while_no_server_runs(kernel: KernelUnderTest) -> None:
    """That of a new automation, which an event has opened, is looked at in the end, however long that takes."""
    watch(kernel, event(posture="Proactive", after=["a"], expect=["b"], within=20))
    send(kernel, "a")
    kernel.run(kernel.kernel.storage.write(take_events, kernel.kernel, kernel.clock.now()))
    assert look(kernel, minutes=10) == 1
