"""A test kit for plugin authors: kernels of one's own, a clock that stands still, and contracts for drivers.

Opt in with `pytest_plugins = ["prefect_kernel.testing"]` in a `conftest.py`, then:

    def test_starts_wait(make_kernel):
        kernel = make_kernel("acme_freeze")
        run = kernel.flow_run()
        verdict = kernel.propose(run, "Running")
        assert (verdict.status, verdict.rules[-1]) == ("WAIT", "acme.HoldDuringFreeze")

Nothing here needs an event loop in the test: the kernel has one of its own, in a thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .client import Answer, Client
from .clock import SettableClock
from .kernel import KernelUnderTest, MakeKernel, Verdict
from .loop import LoopThread

__all__ = ["Answer", "Client", "KernelUnderTest", "LoopThread", "MakeKernel", "SettableClock", "Verdict", "make_kernel"]


@pytest.fixture
def make_kernel(tmp_path: Path) -> Iterator[MakeKernel]:
    """Makes kernels: `make_kernel(*plugins, storage="sqlite", settings={…})`; all are closed at the end of the test.

    Plugins are names, as for `--plugins`, or objects with hooks. `storage` is `sqlite` (a new file) or the URL of a
    database. Settings go by their names: `{"PREFECT_SERVER_API_DEFAULT_LIMIT": 10}`. Neither the environment nor what
    else is installed plays a part.
    """
    with ExitStack() as stack:
        count = 0

        def make(*plugins: Any, storage: str = "sqlite", settings: dict[str, Any] | None = None) -> KernelUnderTest:
            nonlocal count
            count += 1
            home = tmp_path / f"kernel-{count}"
            return stack.enter_context(KernelUnderTest.opened(home, plugins, storage, settings or {}))

        yield make
