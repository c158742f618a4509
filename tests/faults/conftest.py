"""Servers of a test's own, which may go away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import services


@pytest.fixture
def redis() -> Iterator[services.EmbeddedRedis]:
    """A Redis of the test's own."""
    with services.embedded_redis() as started:
        yield started
