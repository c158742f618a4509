"""Prefect's database settings as asyncpg's connection options."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from prefect_kernel.errors import SettingsError


def connect_options(url: str, settings: Any) -> dict[str, Any]:
    """Arguments for `asyncpg.connect` and `create_pool`.

    The URL may carry further libpq parameters in its query, and `host=/directory` for a Unix socket. Times are seconds.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    database = settings.server.database
    arguments = database.sqlalchemy.connect_args
    options: dict[str, Any] = {
        "host": query.pop("host", None) or parts.hostname,
        "port": _port(query.pop("port", None), parts),
        "user": query.pop("user", None) or (unquote(parts.username) if parts.username else None),
        "password": query.pop("password", None) or (unquote(parts.password) if parts.password else None),
        "database": unquote(parts.path.lstrip("/")) or None,
        "timeout": database.connection_timeout or 60,
        "command_timeout": database.timeout,
        "statement_cache_size": 1000 if arguments.statement_cache_size is None else arguments.statement_cache_size,
        "server_settings": {
            "jit": "off",  # compiling a plan takes longer than any of our statements runs
            # The default is for spinning disks, and has PostgreSQL read whole tables where 200 look-ups would do.
            "random_page_cost": "1.1",
        },
    }
    if (sslmode := query.pop("sslmode", None) or query.pop("ssl", None)) is not None:
        options["ssl"] = sslmode
    if arguments.tls.enabled:
        options["ssl"] = tls_context(arguments.tls)
    if arguments.application_name is not None:
        options["server_settings"]["application_name"] = arguments.application_name
    elif "application_name" in query:
        options["server_settings"]["application_name"] = query["application_name"]
    if arguments.search_path is not None:
        options["server_settings"]["search_path"] = arguments.search_path
    return options


def _port(given: str | None, parts: SplitResult) -> int:
    try:
        return int(given or 0) or parts.port or 5432
    except ValueError as error:
        raise SettingsError("The port in the URL of the database is no number between 0 and 65535.") from error


def tls_context(tls: Any) -> ssl.SSLContext:
    """TLS 1.2 or newer; the server's certificate is always verified."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    context.check_hostname = tls.check_hostname
    context.verify_mode = ssl.CERT_REQUIRED
    return context
