"""Settings of the kernel itself, which Prefect does not have: `PREFECT_KERNEL_…`, `[kernel]` in prefect.toml."""

from typing import Literal

from .fields import Group, Names, field


class KernelSettings(Group):
    """The kernel."""

    plugins: Names = field((), "Plugins that must be loaded: entry points, import paths or files, separated by commas.")
    disable: Names = field((), "Plugins that must not be loaded, separated by commas.")
    no_autoload: bool = field(False, "Whether installed plugins that nobody named are left alone.")
    server: str = field(
        "native", "ASGI server: `native`, `hypercorn`, `uvicorn` (extra `fast`), or one that a plugin brings."
    )
    log_format: Literal["text", "json"] = field(
        "text", "Whether log records are lines for people, or JSON objects, one a line, for machines."
    )
    plugin_timeout: float = field(
        10.0, "Seconds that a plugin has for each of its hooks, rules and checks before it is given up.", gt=0
    )
    max_body_bytes: int = field(64 * 1024 * 1024, "Bytes that the body of a request may have.", gt=0)
    body_timeout_seconds: float = field(
        60.0,
        "Seconds for which the body of a request, or of an answer, may stand still before the connection is given up.",
        gt=0,
    )
    header_timeout_seconds: float = field(
        20.0, "Seconds in which the request line and the headers of a request must have come.", gt=0
    )
    max_header_bytes: int = field(
        64 * 1024, "Bytes that the request line and the headers of a request may have.", ge=1024
    )
    max_websocket_bytes: int = field(16 * 1024 * 1024, "Bytes that a message on a WebSocket may have.", ge=1024)
    max_json_depth: int = field(
        0, "Levels to which the JSON of a body may be nested; 0 is what its parser takes, about a thousand.", ge=0
    )
    sqlite_synchronous: Literal["normal", "full"] = field(
        "normal",
        "What survives a power cut: `full` waits for the disk at each commit. A crash loses nothing either way.",
    )
    sqlite_readers: int = field(2, "Threads that read an SQLite database.", ge=1, le=64)
    write_queue_size: int = field(1000, "Writes that may wait for the database before further ones are refused.", ge=1)
    event_queue_size: int = field(10_000, "Events of clients that may wait before their senders are held back.", ge=1)
    event_batch_seconds: float = field(0.02, "Seconds for which events are gathered into one write.", ge=0, le=10)
    event_batch_size: int = field(500, "Events that are written at once.", ge=1)
    ignore_unknown_fields: bool = field(
        False,
        "Whether fields that the server does not know are ignored in bodies, with one warning each, for clients that"
        " are newer than it. Otherwise they are refused with 422, as Prefect does.",
    )
