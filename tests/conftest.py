"""Gives the fixtures of `tests.support` to every test."""

from tests.support.fixtures import (
    database_url,
    free_port,
    postgres,
    postgres_url,
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
    "redis_server_url",
    "redis_url",
    "reference_python",
    "reference_server",
    "server",
    "sqlite_url",
]
