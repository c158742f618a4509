"""A kernel on each database, filled with random rows."""

from __future__ import annotations

import pytest

from prefect_kernel.testing import KernelUnderTest, MakeKernel, make_kernel

from .data import Rows, insert, make

__all__ = ["make_kernel"]


@pytest.fixture
def kernel(make_kernel: MakeKernel, prepared_url: str) -> KernelUnderTest:
    """A kernel on a new database; the test runs on SQLite and on PostgreSQL."""
    return make_kernel(storage=prepared_url)


@pytest.fixture
def rows(kernel: KernelUnderTest) -> Rows:
    """Rows that are in the kernel's database."""
    rows = make(1)
    insert(kernel, rows)
    return rows
