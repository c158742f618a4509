"""What is left of a kernel that was closed."""

from __future__ import annotations

import gc
from pathlib import Path
from weakref import ref

from prefect_kernel.testing.kernel import KernelUnderTest


def test_nothing_keeps_a_closed_kernel(tmp_path: Path) -> None:
    """Tests make thousands in one process; what a module remembers of one it would remember of all."""
    with KernelUnderTest.opened(tmp_path, (), "sqlite", {}) as kernel:
        kernel.flow_run(state={"type": "SCHEDULED"})
        kept = ref(kernel.kernel)
    del kernel
    gc.collect()
    assert kept() is None
