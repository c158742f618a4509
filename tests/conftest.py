"""Gives the fixtures of `tests.support` to every test."""

from __future__ import annotations

import os
from contextlib import ExitStack

import hypothesis
import pytest

from tests.support import services
from tests.support.fixtures import (
    database_url,
    free_port,
    postgres,
    postgres_url,
    prepared,
    prepared_url,
    redis_server_url,
    redis_url,
    reference_python,
    reference_server,
    server,
    sqlite_url,
)

__all__ = [
    "database_url",
    "free_port",
    "postgres",
    "postgres_url",
    "prepared",
    "prepared_url",
    "redis_server_url",
    "redis_url",
    "reference_python",
    "reference_server",
    "server",
    "sqlite_url",
]


# Examples may take as long as a busy machine needs: what is measured there is not the code.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    """With several test processes: find or start the services once, and tell the processes where they are."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        stack = ExitStack()
        config.add_cleanup(stack.close)
        os.environ[services.POSTGRES_VARIABLE] = stack.enter_context(services.postgres_server())
        os.environ[services.REDIS_VARIABLE] = stack.enter_context(services.redis_server())
