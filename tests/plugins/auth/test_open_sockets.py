"""WebSockets that are open do not outlive what has let their callers in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from quart import Blueprint

from prefect_kernel import errors, hookimpl, web
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel.web import open_sockets
from prefect_kernel_plugins.access import passwords
from prefect_kernel_plugins.access.tables import api_key, user
from tests.support.callers import SUCCESS, auth, basic

SECRET = "root:of all evil"
ROOT = {"Authorization": basic(SECRET)}
PASSWORD = "a long enough password"
FILTER = '{"type": "filter", "filter": {"occurred": {}}}'
ENDED = {"type": "websocket.close", "code": 1008, "reason": "Credentials are no longer valid"}


class Acme:
    """A plugin with a WebSocket of a blueprint, and a caller who is let in as long as it says so."""

    name = "acme"

    def __init__(self) -> None:
        self.blueprint = Blueprint("acme", __name__, url_prefix="/acme")
        self.answer: Callable[[int], Any] = lambda number: [web.Caller("guest")] * number

        @self.blueprint.websocket("/socket")
        async def socket() -> None:
            from quart import websocket

            await websocket.accept()
            while True:
                await websocket.receive()

    async def request(self, request: web.Request) -> web.Caller | None:
        return None

    async def socket(self, socket: web.WebSocket, token: str | None) -> web.Caller | None:
        return web.Caller("guest") if token == "guest" else None

    async def still(self, kernel: Any, opened: list[Any]) -> Any:
        return self.answer(len(opened))

    @hookimpl
    def kernel_authenticators(self, settings: Any) -> list[Any]:
        return [self]

    @hookimpl
    def kernel_routes(self, settings: Any) -> list[Any]:
        return [self.blueprint]


class Client:
    """The client of a WebSocket, which stays until it is sent away."""

    def __init__(self, kernel: KernelUnderTest, path: str, *frames: str, header: str | None = None) -> None:
        self.kernel = kernel
        self.sent: list[dict[str, Any]] = []
        self._given: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._told = asyncio.Condition()
        self._task = kernel.run(self._begin(path, frames, header))
        assert self.wait(lambda: len(self.sent) > 1 if frames else bool(self.sent))

    async def _begin(self, path: str, frames: tuple[str, ...], header: str | None) -> asyncio.Task[None]:
        headers = [(b"host", b"x")] + ([] if header is None else [(b"authorization", header.encode())])
        scope = {
            "type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"", "scheme": "ws",
            "root_path": "", "http_version": "1.1", "client": ("127.0.0.1", 1), "server": ("testserver", 80),
            "headers": headers, "subprotocols": ["prefect"] if frames else [], "extensions": {},
        }  # fmt: skip
        self._given.put_nowait({"type": "websocket.connect"})
        for frame in frames:
            self._given.put_nowait({"type": "websocket.receive", "text": frame})
        return asyncio.create_task(self.kernel.kernel(scope, self._given.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        async with self._told:
            self.sent.append(message)
            self._told.notify_all()
        if message["type"] == "websocket.close":
            self._given.put_nowait({"type": "websocket.disconnect", "code": message["code"]})

    def wait(self, condition: Callable[[], bool]) -> bool:
        async def run() -> bool:
            async with asyncio.timeout(20), self._told:
                return await self._told.wait_for(condition)

        return self.kernel.run(run())

    def sent_away(self) -> bool:
        """Wait until it is, and until the server has done with it."""
        self.wait(lambda: self.sent[-1]["type"] == "websocket.close")

        async def end() -> None:
            await asyncio.wait([self._task], timeout=20)

        self.kernel.run(end())
        return self._task.done() and self.sent[-1] == ENDED

    @property
    def is_open(self) -> bool:
        return not self._task.done() and self.sent[-1]["type"] != "websocket.close"

    def leave(self) -> None:
        self.kernel.run(self._gone())

    async def _gone(self) -> None:
        self._given.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait([self._task], timeout=20)


@pytest.fixture
def acme() -> Acme:
    """The plugin."""
    return Acme()


@pytest.fixture
def kernel(make_kernel: MakeKernel, prepared_url: str, acme: Acme, monkeypatch: pytest.MonkeyPatch) -> KernelUnderTest:
    """A kernel that looks after open sockets all the time, on SQLite and on PostgreSQL."""
    monkeypatch.setattr(passwords, "COST", 2)
    monkeypatch.setattr(open_sockets, "ROUND", 0.01)
    settings = {
        "PREFECT_KERNEL_API_KEYS": True, "PREFECT_KERNEL_USERS": True, "PREFECT_SERVER_API_AUTH_STRING": SECRET,
    }  # fmt: skip
    return make_kernel(acme, storage=prepared_url, settings=settings)


def key(kernel: KernelUnderTest, name: str, **more: Any) -> str:
    """A new key."""
    made = kernel.client.post("/kernel/keys/", json={"name": name, **more}, headers=ROOT)
    assert made.status == 201, made.text
    token: str = made.json()["key"]
    return token


def person(kernel: KernelUnderTest, name: str, role: str) -> str:
    """A new user, as they show themselves."""
    body = {"name": name, "password": PASSWORD, "role": role}
    assert kernel.client.post("/kernel/users/", json=body, headers=ROOT).status == 201
    return f"{name}:{PASSWORD}"


def opened(kernel: KernelUnderTest, token: str) -> Client:
    """A socket on which events are followed."""
    client = Client(kernel, "/api/events/out", auth(token), FILTER)
    assert client.sent[1].get("text") == SUCCESS
    return client


def elsewhere(kernel: KernelUnderTest, statement: sa.Update | sa.Delete) -> None:
    """Another process changes the database, of which this one is not told."""

    def unit() -> Unit[None]:
        yield Statement(statement)()

    kernel.run(kernel.kernel.storage.write(unit))


def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens on the kernel's own thread."""
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def rounds(kernel: KernelUnderTest, acme: Acme, *others: Client) -> None:
    """Let two rounds go by, which others outlive."""
    count = 0

    def answer(number: int) -> Any:
        nonlocal count
        count += 1
        return [web.Caller("guest")] * number

    acme.answer = answer
    guest = opened(kernel, "guest")

    until(lambda: count >= 2)
    assert all(client.is_open for client in others)
    guest.leave()


def test_a_key_that_is_revoked(kernel: KernelUnderTest, acme: Acme) -> None:
    """Its sockets are closed, each kind of them; those of others are not."""
    token = key(kernel, "one")
    others = [opened(kernel, one) for one in (key(kernel, "two"), SECRET)]
    mine = [
        opened(kernel, token),
        opened(kernel, f"any:{token}"),
        Client(kernel, "/api/events/in", auth(token)),
        Client(kernel, "/api/logs/out", auth(token), '{"type": "filter", "filter": {}}'),
        Client(kernel, "/api/task_runs/subscriptions/scheduled", auth(token),
               '{"type": "subscribe", "keys": ["k"], "client_id": "c"}'),
        Client(kernel, "/api/acme/socket", header=f"Bearer {token}"),
    ]  # fmt: skip
    rounds(kernel, acme, *mine, *others)
    elsewhere(kernel, sa.delete(api_key).where(api_key.c.name == "one"))
    for client in mine:
        assert client.sent_away()
    rounds(kernel, acme, *others)
    for client in others:
        client.leave()


def test_the_process_that_is_told(kernel: KernelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closes at once, without waiting for the next round."""
    monkeypatch.setattr(open_sockets, "ROUND", 3600)
    token, ada = key(kernel, "one"), person(kernel, "ada", "viewer")
    one, two, three = opened(kernel, token), opened(kernel, ada), opened(kernel, SECRET)
    assert kernel.client.delete("/kernel/keys/one", headers=ROOT).status == 204
    assert one.sent_away()
    assert two.is_open
    assert kernel.client.delete("/kernel/users/ada", headers=ROOT).status == 204
    assert two.sent_away()
    assert three.is_open
    three.leave()


def test_a_key_that_ends(kernel: KernelUnderTest, acme: Acme) -> None:
    """At its expiry, and not before."""
    until = kernel.clock.now() + timedelta(minutes=1)
    client = opened(kernel, key(kernel, "short", expires=until.isoformat()))
    kernel.clock.advance(seconds=59)
    rounds(kernel, acme, client)
    kernel.clock.advance(seconds=1)
    assert client.sent_away()


@pytest.mark.parametrize(
    "change",
    [
        lambda: sa.delete(user),
        lambda: sa.update(user).values(enabled=False),
        lambda: sa.update(user).values(password=passwords.hashed("another password")),
        lambda: sa.update(user).values(role="viewer"),
    ],
    ids=["deleted", "disabled", "another password", "a lower role"],
)
def test_a_user_who_is_let_in_no_longer(kernel: KernelUnderTest, acme: Acme, change: Callable[[], Any]) -> None:
    """The socket is closed, which needs the permission `run`; those of others are not."""
    eve, bob = person(kernel, "eve", "runner"), person(kernel, "bob", "runner")
    mine, other = Client(kernel, "/api/events/in", auth(eve)), Client(kernel, "/api/events/in", auth(bob))
    header = Client(kernel, "/api/acme/socket", header=basic(eve))
    elsewhere(kernel, sa.update(user).where(user.c.name == "eve").values(role="admin"))
    rounds(kernel, acme, mine, other, header)
    elsewhere(kernel, change().where(user.c.name == "eve"))
    assert mine.sent_away()
    assert header.sent_away()
    assert other.is_open
    other.leave()


def test_ways_that_cannot_answer(kernel: KernelUnderTest, acme: Acme, caplog: pytest.LogCaptureFixture) -> None:
    """Who they let in stays, until they say otherwise; they are not in the way of others."""
    guest, token = opened(kernel, "guest"), key(kernel, "one")
    asked = 0

    def broken(number: int) -> Any:
        nonlocal asked
        asked += 1
        if asked % 5 == 0:
            raise errors.StorageUnavailable("away")
        if asked % 5 == 4:
            raise SystemExit(3)
        return [[], None, ["guest"] * number][asked % 5 - 1]

    acme.answer = broken

    until(lambda: asked >= 10)
    client = opened(kernel, token)
    elsewhere(kernel, sa.delete(api_key))
    assert client.sent_away()
    assert guest.is_open
    assert "open WebSockets cannot be looked after (acme)" in caplog.text
    acme.answer = lambda number: [None] * number
    assert guest.sent_away()


def test_one_statement_for_all(kernel: KernelUnderTest, acme: Acme) -> None:
    """However many there are, and nothing once there are none."""
    clients = [opened(kernel, key(kernel, f"key-{number}")) for number in range(20)]
    storage, read, asked = kernel.kernel.storage, kernel.kernel.storage.read, []

    async def counted(unit: Any, *arguments: Any) -> Any:
        asked.append(unit.__name__)
        return await read(unit, *arguments)

    storage.read = counted  # type: ignore[method-assign,assignment]
    try:
        rounds(kernel, acme, *clients)
        assert set(asked) == {"keys_by_digest", "following"}
        assert len(asked) < 20
    finally:
        storage.read = read  # type: ignore[method-assign]
    for client in clients:
        client.leave()
    authentication = kernel.kernel.dispatcher.authentication
    assert authentication is not None
    assert not authentication.open_sockets._opened
    assert authentication.open_sockets._task is None
