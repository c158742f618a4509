"""What is done with a request from outside: it is checked, filled into the template, and becomes an event."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import orjson
from pydantic import ValidationError

from prefect_kernel import errors, web
from prefect_kernel.ids import uuid4
from prefect_kernel.sql.types import may_hold_wide_integers
from prefect_kernel.web.reply import dumps

from ..common.templates import TemplateError, render
from ..events.received import Received, from_frame
from .queries import Webhook

MAX_BYTES = 1_000_000
"""How large a body may be."""

_SECONDS = re.compile(r"[0-9]{1,12}")
_HIDDEN = ("authorization", "cookie", "proxy-authorization")


class Headers(dict[str, str]):
    """Headers by their names, in whatever case."""

    def __getitem__(self, key: str) -> str:
        return super().__getitem__(key.lower())

    def get(self, key: str, default: Any = None) -> Any:
        """The header, or the default."""
        return super().get(key.lower(), default)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and super().__contains__(key.lower())


def verify(found: Webhook, secret: str, request: web.Request) -> None:
    """Check the secret or the signature of a request, in constant time. Raises Forbidden."""
    given = (request.header(found.header or "") or "").encode("latin-1")  # the bytes as they were sent
    if found.verify == "secret":
        expected = secret.encode()
    else:
        given = given.lower().removeprefix(b"sha256=")  # in hex, small or capital
        expected = hmac.new(secret.encode(), _signed(found, request), hashlib.sha256).hexdigest().encode()
    if not hmac.compare_digest(expected, given):
        raise errors.Forbidden(f"The header {found.header} is missing or wrong.")
    if found.timestamp_header is not None and found.tolerance_seconds is not None:
        sent = int(_time_sent(found, request))
        if abs(request.kernel.clock.now().timestamp() - sent) > found.tolerance_seconds:
            raise errors.Forbidden(f"The time in the header {found.timestamp_header} is not now.")


def _time_sent(found: Webhook, request: web.Request) -> str:
    """The time that is signed, in seconds since 1970. Raises Forbidden."""
    text = request.header(found.timestamp_header or "") or ""
    if not _SECONDS.fullmatch(text):
        raise errors.Forbidden(f"The header {found.timestamp_header} is missing or wrong.")
    return text


def _signed(found: Webhook, request: web.Request) -> bytes:
    """What the signature is of."""
    if found.timestamp_header is None:
        return request.content
    return _time_sent(found, request).encode() + b"." + request.content


def _id(found: Webhook, request: web.Request) -> str:
    """The id of a request's event: where the time is signed, one that a copy of the request gets, too."""
    if found.timestamp_header is None:
        return uuid4()
    mark = hashlib.sha256(found.id.encode() + b"." + _signed(found, request)).digest()
    return str(UUID(bytes=mark[:16], version=5))


def event_of(found: Webhook, request: web.Request) -> Received:
    """The event that the template makes of a request. Raises BadRequest, or Unprocessable with the reason."""
    headers = Headers(
        (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.scope["headers"]
    )
    for name in (*_HIDDEN, found.header or ""):
        headers.pop(name, None)
    context: Mapping[str, Any] = {
        "method": request.scope["method"],
        "headers": headers,
        "query_params": dict(request.args),
        "body": _body(headers.get("content-type", ""), request.content),
    }
    try:
        text = render(found.template, context)
        values = _parsed(text.encode())
    except TemplateError as error:
        raise errors.Unprocessable(f"The webhook's template failed: {error}") from None
    except (ValueError, RecursionError) as error:
        raise errors.Unprocessable(f"What the webhook's template gives is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise errors.Unprocessable("What the webhook's template gives is no JSON object.")
    now = request.kernel.clock.now()
    try:
        event = from_frame(dumps({"id": _id(found, request), "occurred": now, **values}), now)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise errors.Unprocessable(f"What the webhook's template gives is no event: {wrong}") from None
    if event is None:
        raise errors.PayloadTooLarge("The event is larger than events may be.")
    return event


def _parsed(text: bytes) -> Any:
    """JSON; with its integers, of which orjson makes floats when they are beyond 64 bits."""
    if may_hold_wide_integers(text):
        return json.loads(text, parse_constant=_no_constant)
    return orjson.loads(text)


def _no_constant(name: str) -> Any:
    raise ValueError(f"there is no {name}")


def _body(kind: str, content: bytes) -> Any:
    """A body: parsed if it is JSON or a form, else as text."""
    kind = kind.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return _parsed(content) if content else None
        except (ValueError, RecursionError) as error:
            raise errors.BadRequest(f"The body is no JSON: {error}") from None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise errors.BadRequest("The body is no UTF-8 text.") from None
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(text, keep_blank_values=True))
    return text
