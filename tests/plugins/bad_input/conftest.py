"""A kernel on each database."""

from __future__ import annotations

import pytest

from prefect_kernel.testing import KernelUnderTest, MakeKernel, make_kernel

__all__ = ["make_kernel"]


@pytest.fixture
def kernel(make_kernel: MakeKernel, prepared_url: str) -> KernelUnderTest:
    """A kernel on a new database, which writes each change down; the test runs on SQLite and on PostgreSQL."""
    return make_kernel(storage=prepared_url, settings={"PREFECT_KERNEL_AUDIT": "run"})
