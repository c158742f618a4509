"""Calling the server's own endpoints from within it, in the name of an automation."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import orjson

from prefect_kernel import errors
from prefect_kernel.sql.types import json_from_text
from prefect_kernel.web.dispatch import reply_to_error
from prefect_kernel.web.reply import dumps
from prefect_kernel.web.request import Request

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel


class TryAgain(Exception):
    """Something is not available now; the action is to be tried again later."""


class ActionFailed(Exception):
    """The action cannot be done, and trying again would not help; the text says why."""


@dataclass(frozen=True)
class Answer:
    """What an endpoint answered."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json_from_text(self.body.decode())


class Caller:
    """Calls endpoints as the automation; neither credentials nor CSRF tokens are asked for."""

    def __init__(self, kernel: Kernel, id: str, name: str) -> None:
        self.kernel = kernel
        self._headers = [
            (b"host", b"prefect-kernel"),
            (b"content-type", b"application/json"),
            (b"prefect-automation-id", id.encode()),
            (b"prefect-automation-name", base64.b64encode(name.encode())),
        ]

    async def __call__(self, method: str, path: str, body: Any = None, query: dict[str, Any] | None = None) -> Answer:
        """The answer of an endpoint below the API's path. Raises TryAgain when the database is away."""
        kernel = self.kernel
        full = f"{kernel.api}{path}"
        found = kernel.dispatcher.endpoints.match(full)
        endpoint = None if found is None else found[0].get(method)
        if found is None or endpoint is None:
            return Answer(404, b'{"detail":"Not Found"}')
        content = b"" if body is None else dumps(body)
        scope = {
            "type": "http", "http_version": "1.1", "scheme": "http", "method": method, "path": full,
            "raw_path": quote(full).encode(), "query_string": urlencode(query or {}, doseq=True).encode(),
            "root_path": "", "headers": self._headers, "client": None, "server": None,
        }  # fmt: skip
        request = Request(kernel, scope, None, found[1])
        request.content = content
        try:
            if endpoint.read_query is not None:
                request.query = endpoint.read_query(request.args)
            if endpoint.read_body is None:
                reply = await endpoint.handler(request)
            else:
                reply = await endpoint.handler(request, endpoint.read_body(content, "application/json"))
        except errors.StorageUnavailable as error:
            raise TryAgain(str(error)) from None
        except Exception as error:  # noqa: BLE001 - as for a request from outside
            reply = reply_to_error(error, f"{method} {path} (an automation)")
        if reply.status in (500, 503):
            raise TryAgain(f"{method} {path}: {reply.status} {reply.body.decode(errors='replace')}")
        return Answer(reply.status, reply.body)


def checked(kind: str, answer: Answer) -> Answer:
    """The answer, unless it says that the action failed. Raises ActionFailed in the reference's words."""
    status = answer.status
    if status < 300:
        return answer
    if status not in (409, 422):
        raise ActionFailed(f"Unexpected status from {kind!r} action: {status}")
    try:
        detail = answer.json().get("detail")
    except (ValueError, AttributeError, orjson.JSONDecodeError):
        detail = None
    if status == 422 or detail:
        raise ActionFailed(f"Validation error occurred for {kind!r}" + (f" - {detail}" if detail else ""))
    raise ActionFailed(f"Conflict (409) occurred for {kind!r} - {answer.body.decode(errors='replace')!r}")
