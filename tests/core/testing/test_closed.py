"""What is left of a kernel that was closed."""

from __future__ import annotations

import gc
from pathlib import Path
from weakref import ref

from prefect_kernel.app import Kernel
from prefect_kernel.testing.kernel import KernelUnderTest


def opened_and_closed(home: Path) -> ref[Kernel]:
    """A kernel that has done something."""
    with KernelUnderTest.opened(home, (), "sqlite", {}) as kernel:
        kernel.flow_run(state={"type": "SCHEDULED"})
        return ref(kernel.kernel)


def test_nothing_keeps_closed_kernels(tmp_path: Path) -> None:
    """Tests make thousands in one process; what a module remembers of one it would remember of all."""
    closed = [opened_and_closed(tmp_path / str(number)) for number in range(3)]
    gc.collect()
    assert [kernel() for kernel in closed[:2]] == [None, None]  # frames may still hold the last
