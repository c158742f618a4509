"""Conversations over WebSockets, as steps of a script."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from .script import Request, Scope, Socket

RECEIVE_SECONDS = 5.0


Ask = Callable[[Request], int]
"""Sends a request beside the conversation; gives the status of its answer."""


def converse(api_url: str, step: Socket, scope: Scope, ask: Ask) -> dict[str, Any]:
    """Hold the conversation; what was received, and how it ended."""
    from websockets.exceptions import ConnectionClosed, InvalidHandshake
    from websockets.sync.client import connect

    url = api_url.replace("http", "ws", 1) + scope.resolve(step.path)
    subprotocols: Any = [step.subprotocol] if step.subprotocol else None
    received: list[Any] = []
    try:
        with connect(url, subprotocols=subprotocols, compression=None, open_timeout=10, close_timeout=2) as socket:
            try:
                if step.auth and step.subprotocol:
                    socket.send(json.dumps({"type": "auth", "token": None}))
                    received.append(_read(socket))
                for word, *arguments in step.talk:
                    if word == "request":
                        received.append(ask(Request(step.step, *arguments)))
                    else:
                        _say(socket, word, arguments, received, scope)
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else "no close frame"
                reason = closed.rcvd.reason if closed.rcvd else ""
                return _result("closed", received, {"code": code, "reason": reason})
    except InvalidHandshake as refused:
        status = getattr(getattr(refused, "response", None), "status_code", None)
        return _result("refused", received, {"http": status})
    return _result("open", received, None)


def _say(socket: Any, word: str, arguments: list[Any], received: list[Any], scope: Scope) -> None:
    match word:
        case "send":
            message = scope.resolve(arguments[0])
            socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
        case "receive":
            received += [_read(socket) for _ in range(arguments[0] if arguments else 1)]
        case "silence":
            received.append(_read(socket, arguments[0]))
        case "wait":
            time.sleep(arguments[0])
        case "ping":
            if not socket.ping(uuid.uuid4().bytes).wait(20):
                received.append("no pong")
        case _:
            raise ValueError(f"unknown word {word!r}")


def _read(socket: Any, timeout: float = RECEIVE_SECONDS) -> Any:
    try:
        message = socket.recv(timeout=timeout)
    except TimeoutError:
        return "nothing received"
    try:
        return json.loads(message)
    except ValueError:
        return message if isinstance(message, str) else message.hex()


def _result(status: str, received: list[Any], end: Any) -> dict[str, Any]:
    return {"status": status, "headers": {}, "body": {"received": received, "end": end}}
