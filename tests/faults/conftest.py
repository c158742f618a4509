"""Servers of a test's own, which may go away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import services

from .away import Fault, flush, pause, restart


@pytest.fixture
def redis() -> Iterator[services.EmbeddedRedis]:
    """A Redis of the test's own."""
    with services.embedded_redis() as started:
        yield started


@pytest.fixture(params=[restart, flush, pause])
def fault(request: pytest.FixtureRequest) -> Fault:
    """What happens to a Redis."""
    found: Fault = request.param
    return found
