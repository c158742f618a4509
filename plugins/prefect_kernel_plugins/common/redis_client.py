"""Where Redis is, in the settings of Prefect's package `prefect-redis`, and clients for it.

`redis` is imported when a client is made: most servers have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect_kernel import errors
from prefect_kernel.settings import Setting

if TYPE_CHECKING:
    import redis
    import redis.asyncio

_NAME = "PREFECT_REDIS_MESSAGING_"
PREFIX = "PREFECT_KERNEL_REDIS_PREFIX"

SETTINGS = [
    Setting(f"{_NAME}URL", str, "", "Address of Redis, redis://…; then the other settings say nothing.", secret=True),
    Setting(f"{_NAME}HOST", str, "localhost", "Host on which Redis is."),
    Setting(f"{_NAME}PORT", int, 6379, "Port on which Redis is."),
    Setting(f"{_NAME}DB", int, 0, "Number of the Redis database; servers that share it are one."),
    Setting(f"{_NAME}USERNAME", str, "default", "User of Redis; with a password only."),
    Setting(f"{_NAME}PASSWORD", str, "", "Password of the user of Redis.", secret=True),
    Setting(f"{_NAME}SSL", bool, False, "Whether Redis is talked to over TLS."),
    Setting(f"{_NAME}HEALTH_CHECK_INTERVAL", int, 20, "Seconds after which an idle connection is tried before use."),
    Setting(f"{_NAME}SOCKET_TIMEOUT", float | None, None, "Seconds that Redis has to answer; 5 when nothing is said."),
    Setting(f"{_NAME}SOCKET_CONNECT_TIMEOUT", float | None, None, "Seconds for a connection; 5 when nothing is said."),
    Setting(f"{_NAME}PROTOCOL", int, 2, "Version of Redis' protocol, 2 or 3."),
    Setting(PREFIX, str, "prefect-kernel", "What the names of the broker's keys begin with."),
]
"""Declared by the plugin `broker_redis`, for all that use Redis."""

ANSWER_SECONDS = 5.0


def prefix(settings: Any) -> str:
    """What the names of our own keys begin with."""
    return str(_get(settings, PREFIX))


def _get(settings: Any, name: str) -> Any:
    try:
        return settings.plugin[name]
    except KeyError:
        raise errors.SettingsError(
            "What uses Redis needs the plugin broker_redis, whose settings say where it is; do not disable it."
        ) from None


def options(settings: Any) -> dict[str, Any]:
    """Arguments for a client of either kind. Raises SettingsError."""
    url = _get(settings, f"{_NAME}URL")
    wait, connect = _get(settings, f"{_NAME}SOCKET_TIMEOUT"), _get(settings, f"{_NAME}SOCKET_CONNECT_TIMEOUT")
    common = {
        "health_check_interval": _get(settings, f"{_NAME}HEALTH_CHECK_INTERVAL"),
        "socket_timeout": wait or ANSWER_SECONDS,
        "socket_connect_timeout": connect or ANSWER_SECONDS,
        "protocol": _get(settings, f"{_NAME}PROTOCOL"),
    }
    if url:
        from redis.connection import parse_url

        scheme = url.partition("://")[0]
        if scheme not in ("redis", "rediss", "unix"):
            raise errors.SettingsError(
                f"{_NAME}URL must begin with redis://, rediss:// or unix://; {scheme}:// is not supported."
            )
        try:
            parse_url(url)
        except ValueError as error:
            raise errors.SettingsError(f"{_NAME}URL is not the address of a Redis: {error}.") from None
        return {**common, "url": url}  # what its query says goes before what `common` says
    password = _get(settings, f"{_NAME}PASSWORD")
    return {
        **common,
        "host": _get(settings, f"{_NAME}HOST"),
        "port": _get(settings, f"{_NAME}PORT"),
        "db": _get(settings, f"{_NAME}DB"),
        "ssl": _get(settings, f"{_NAME}SSL"),
        **({"username": _get(settings, f"{_NAME}USERNAME"), "password": password} if password else {}),
    }


def open_async(settings: Any, **more: Any) -> redis.asyncio.Redis:
    """A client for the event loop; it connects when it is first used, and repeats nothing by itself."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    arguments = {**options(settings), "retry": Retry(NoBackoff(), 0), **more}
    url = arguments.pop("url", None)
    return Redis(**arguments) if url is None else Redis.from_url(url, **arguments)


def open_blocking(settings: Any, **more: Any) -> redis.Redis:
    """A client for threads; it connects when it is first used, and repeats nothing by itself."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    arguments = {**options(settings), "retry": Retry(NoBackoff(), 0), **more}
    url = arguments.pop("url", None)
    return Redis(**arguments) if url is None else Redis.from_url(url, **arguments)
