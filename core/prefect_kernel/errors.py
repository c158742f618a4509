"""Every error of the kernel: one base class, one tree.

A class docstring's first line is the default message, so raising the bare class already says what to do.
The `HttpError` branch is answered to the client with its status; anything else that escapes an endpoint is a 500.
"""

from __future__ import annotations

from typing import Any


class KernelError(Exception):
    """Something went wrong in the kernel."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n", 1)[0])

    @property
    def message(self) -> str:
        return str(self.args[0])


def told(error: BaseException) -> str:
    """What an error says, on one line; for those that are not the kernel's with their type."""
    try:
        said = " ".join((error.message if isinstance(error, KernelError) else str(error)).split())
    except Exception:  # noqa: BLE001 - a third party's error may not even be able to say what it is
        said = ""
    if isinstance(error, KernelError):
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


# ---------------------------------------------------------------- start-up
class SettingsError(KernelError):
    """A setting has a value that is not allowed."""


class PluginError(KernelError):
    """A plugin cannot be loaded."""

    def __init__(self, message: str | None = None, plugin: str | None = None) -> None:
        """`plugin` is the name of the one to blame."""
        super().__init__(message)
        self.plugin = plugin


class PolicyError(PluginError):
    """A policy edit names a rule that does not exist, or cannot be placed."""


class ServerError(KernelError):
    """The ASGI server cannot be started."""


# ---------------------------------------------------------------- storage
class StorageError(KernelError):
    """The database refused a statement."""


class DatabaseNotReady(StorageError):
    """The database is not at a schema version that this server can use."""


class UniqueViolation(StorageError):
    """A unique constraint was violated."""


class IntegrityViolation(StorageError):
    """A foreign key or other constraint was violated."""


class StorageUnavailable(StorageError):
    """The database cannot be reached, is locked, or its write queue is full; try again later."""


class InvalidValue(StorageError):
    """A value cannot be stored: a NUL character, a lone surrogate, or a number out of range."""


class Raced(StorageError):
    """A guarded write found that somebody else changed the row first; the unit is run again."""


# ---------------------------------------------------------------- HTTP
class HttpError(KernelError):
    """An error that is answered to the client."""

    status = 500

    def __init__(self, detail: Any = None, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        super().__init__(str(detail) if detail is not None else None)
        self.detail = detail
        self.headers = headers or []

    def body(self) -> Any:
        """The JSON body, in the shape that Prefect's clients know."""
        return {"detail": self.detail}


class BadRequest(HttpError):
    """Bad request."""

    status = 400


class Unauthorized(HttpError):
    """Missing or wrong credentials."""

    status = 401

    def body(self) -> Any:
        return {"exception_message": "Unauthorized"}


class Forbidden(HttpError):
    """Not allowed."""

    status = 403


class NotFound(HttpError):
    """Not Found"""

    status = 404


class ObjectNotFound(NotFound):
    """The object does not exist (routes whose reference raises ObjectNotFoundError)."""

    def body(self) -> Any:
        return {"exception_message": self.detail}


class Conflict(HttpError):
    """Data integrity conflict."""

    status = 409


class Gone(HttpError):
    """The object existed and is gone."""

    status = 410


class PayloadTooLarge(HttpError):
    """The request body is too large."""

    status = 413


class Unprocessable(HttpError):
    """The request is well-formed but cannot be carried out."""

    status = 422


class InvalidRequest(HttpError):
    """Validation of the request failed; `errors` are pydantic's, `request_body` is what was sent."""

    status = 422

    def __init__(self, errors: list[dict[str, Any]], request_body: Any) -> None:
        super().__init__("Invalid request received.")
        self.errors, self.request_body = errors, request_body

    def body(self) -> Any:
        return {
            "exception_message": "Invalid request received.",
            "exception_detail": self.errors,
            "request_body": self.request_body,
        }


class Locked(HttpError):
    """Locked"""

    status = 423

    def __init__(self, retry_after: float | None, detail: str = "Locked") -> None:
        """`retry_after` in seconds, answered in the Retry-After header; None when waiting is of no use."""
        headers = None if retry_after is None else [(b"retry-after", str(retry_after).encode())]
        super().__init__(detail, headers)


class TooManyRequests(HttpError):
    """Too many requests."""

    status = 429


class Unavailable(HttpError):
    """Service Unavailable"""

    status = 503

    def __init__(self, retry_after: float = 1) -> None:
        """`retry_after` in seconds, answered in the Retry-After header."""
        super().__init__(None, [(b"retry-after", str(retry_after).encode())])

    def body(self) -> Any:
        return {"exception_message": "Service Unavailable"}
