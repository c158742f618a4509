"""Plays the steps of a script against one server and keeps what it answered."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .databases import Database
from .http import Answer, Client
from .script import MISSING, Case, Race, Request, Rows, Scope, Seed, Socket, Step, Unresolved, Update
from .websocket import converse

POLL_SECONDS = 0.25
# Long enough for machines that have other things to do: who has what is waited for does not wait.
UNTIL_SECONDS = 90.0
LOCKED_SECONDS = 60.0
LOCKED_PAUSE = 0.05


class Side:
    """One of the two servers: its URL and, when known, its database.

    `locks`: it is a Python Prefect on SQLite, which writes in the background, and now and then answers 503 to a request
    because it found its own database locked. It has done nothing then, and is asked again, as clients do.
    """

    def __init__(
        self, name: str, api_url: str, database: Database | None = None, home: str = "", *, python: bool = False
    ) -> None:
        self.name = name
        self.api_url = api_url.rstrip("/")
        self.client = Client(self.api_url, home)
        self.database = database
        self.requests = 0
        self.locks = python and (database is None or database.dialect == "sqlite")
        self.locked = 0
        """How often it was asked again."""
        self.asked: set[tuple[str, str]] = set()
        """Methods and paths of all requests."""

    def close(self) -> None:
        """Close what is open."""
        self.client.close()
        if self.database is not None:
            self.database.close()


NOT_PLAYED = {"status": "not played", "headers": {}, "body": None}


def play(side: Side, case: Case, scope: Scope) -> dict[int, dict[str, Any]]:
    """Play a case; for each step what came of it."""
    answers: dict[int, dict[str, Any]] = {}
    began = time.monotonic()
    for step in case.steps:
        try:
            answer = _play_step(side, step, scope)
        except Unresolved as error:
            answer = {**NOT_PLAYED, "body": f"{error}"}
        answers[step.step] = {**answer, "elapsed": time.monotonic() - began}
        if answer["status"] != "not played":
            scope.answers[step.step] = answer["body"]
    return answers


def _play_step(side: Side, step: Step, scope: Scope) -> dict[str, Any]:
    match step:
        case Request():
            return _play_request(side, step, scope).as_value()
        case Race():
            return _play_race(side, step.requests, scope)
        case Socket():
            side.requests += 1
            return converse(side.api_url, step, scope, lambda request: _play_request(side, request, scope).status)
    if side.database is None:
        return {**NOT_PLAYED, "body": "needs the database"}
    match step:
        case Seed():
            row = scope.resolve(step.values)
            side.database.insert(step.table, row)
            return {"status": "seeded", "headers": {}, "body": row}
        case Update():
            count = side.database.update(step.table, scope.resolve(step.where), scope.resolve(step.values))
            return {"status": "updated", "headers": {}, "body": count}
        case Rows():
            where = scope.resolve(step.where)
            rows = side.database.select(step.table, where, step.order_by, step.columns)
            return {"status": "rows", "headers": {}, "body": rows}
    raise TypeError(f"unknown step {step!r}")


Prepared = tuple[str, str, bytes | None, dict[str, str]]


def prepare(client: Client, step: Request, scope: Scope) -> Prepared:
    """A request as it goes over the wire."""
    path = scope.resolve(step.path)
    target = path if step.outside_api else client.url.removeprefix(client.origin) + path
    headers = {name: str(scope.resolve(value)) for name, value in step.headers.items()}
    names = {name.lower() for name in headers}
    if step.raw is not None:
        body: bytes | None = step.raw if isinstance(step.raw, bytes) else str(scope.resolve(step.raw)).encode()
    elif step.body is MISSING:
        body = None
    else:
        body = json.dumps(scope.resolve(step.body)).encode()
        if "content-type" not in names:
            headers["content-type"] = "application/json"
    # Names that are empty in `headers` stand for "do not send".
    return step.method, target, body, {name: value for name, value in headers.items() if value}


def _play_request(side: Side, step: Request, scope: Scope) -> Answer:
    prepared = prepare(side.client, step, scope)
    side.requests += 1
    answer = _send(side, prepared)
    if step.until is not None:
        key, wanted = step.until
        give_up = time.monotonic() + UNTIL_SECONDS
        while not _reached(answer.body, key, wanted) and time.monotonic() < give_up:
            time.sleep(POLL_SECONDS)
            side.requests += 1
            answer = _send(side, prepared)
    return answer


def _send(side: Side, prepared: Prepared, client: Client | None = None) -> Answer:
    """Send a request, and again when the server found its own database locked."""
    give_up = time.monotonic() + LOCKED_SECONDS
    side.asked.add((prepared[0], prepared[1].partition("?")[0]))
    while True:
        answer = (client or side.client).send(*prepared)
        if not side.locks or answer.status != 503 or time.monotonic() > give_up:
            return answer
        side.locked += 1
        time.sleep(LOCKED_PAUSE)


def _reached(body: Any, key: str, wanted: int) -> bool:
    """Whether the number (or the length of the list) at `key` has reached what is waited for."""
    value = body
    for part in filter(None, key.split(".")):
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return (len(value) if isinstance(value, list) else value if isinstance(value, int) else -1) >= wanted


def _play_race(side: Side, requests: Sequence[Request], scope: Scope) -> dict[str, Any]:
    clients = [Client(side.api_url) for _ in requests]
    prepared = [prepare(client, request, scope) for client, request in zip(clients, requests, strict=True)]
    side.requests += len(requests)
    with ThreadPoolExecutor(len(requests)) as pool:
        answers = list(pool.map(lambda pair: _send(side, pair[1], pair[0]), zip(clients, prepared, strict=True)))
    for client in clients:
        client.close()
    # Who wins is chance, and so is whether the state of the winner is new to a loser (200 or 201).
    verdicts = sorted(_verdict(answer) for answer in answers)
    return {"status": "race", "headers": {}, "body": verdicts}


def _verdict(answer: Answer) -> str:
    if not isinstance(answer.body, dict) or "details" not in answer.body:
        return f"{answer.status}"
    return f"{answer.status // 100}xx {answer.body['status']} {answer.body['details'].get('reason')}"
