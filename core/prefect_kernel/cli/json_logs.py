"""Log records as JSON objects, one a line."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..settings import Settings


class JsonFormatter(logging.Formatter):
    """Writes time, level, logger, message, process, and an exception's type and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        out: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        if record.exc_info and record.exc_info[0] is not None:
            out["exception"] = record.exc_info[0].__name__
            out["traceback"] = self.formatException(record.exc_info)
        if record.stack_info:
            out["stack"] = self.formatStack(record.stack_info)
        try:
            return orjson.dumps(out, option=orjson.OPT_UTC_Z, default=str).decode()
        except TypeError:  # halves of characters, which a client may have sent
            out = {key: _whole(value) if isinstance(value, str) else value for key, value in out.items()}
            return orjson.dumps(out, option=orjson.OPT_UTC_Z, default=str).decode()


def _whole(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def said(settings: Settings, lines: Sequence[str]) -> list[str]:
    """What is told at a start: as it is, or as lines of a log in JSON, since what reads the log reads this, too."""
    if settings.kernel.log_format != "json":
        return list(lines)
    records = ({"name": "prefect_kernel", "levelname": "INFO", "msg": " ".join(line.split())} for line in lines)
    return [JsonFormatter().format(logging.makeLogRecord(record)) for record in records]
