"""The worker channel over real sockets, and what is to be cleaned up."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.work_pools import cleanup
from prefect_kernel_plugins.work_pools.cleanup import queue_of
from tests.plugins.work_pools.support import pool
from tests.support.fixtures import ServerFactory

PATIENCE = 30.0
KIND = "cancelling_timeout_teardown.v1"


@asynccontextmanager
async def connected(api_url: str, name: str) -> AsyncIterator[ClientConnection]:
    """A socket after authentication."""
    url = f"{api_url.replace('http', 'ws', 1)}/work_pools/{name}/workers/connect"
    async with asyncio.timeout(PATIENCE), connect(url, subprotocols=[Subprotocol("prefect")]) as socket:
        await socket.send('{"type": "auth", "token": null}')
        assert json.loads(await socket.recv()) == {"type": "auth_success"}
        yield socket


def frame(type_: str, payload: dict[str, Any]) -> dict[str, Any]:
    """A frame as workers send it."""
    return {"type": type_, "id": str(uuid4()), "sent_at": "2030-01-01T00:00:00Z", "payload": payload}


def hello(**more: Any) -> dict[str, Any]:
    """The first frame."""
    return frame(
        "worker.hello.v1",
        {
            "consumer_id": str(uuid4()),
            "worker_name": "w",
            "worker_type": "process",
            "heartbeat_interval_seconds": 30,
            "supported_channel_versions": ["work_pool_worker_channel.v1"],
            "requested_capabilities": ["worker_heartbeat.v1", "work_pool_snapshot.v1", "other.v1"],
            **more,
        },
    )


async def talk(socket: ClientConnection, said: dict[str, Any] | str) -> dict[str, Any]:
    """Send a frame, and get the next one."""
    await socket.send(said if isinstance(said, str) else json.dumps(said))
    found: dict[str, Any] = json.loads(await socket.recv())
    return found


@pytest.mark.asyncio
async def test_hello_heartbeats_and_snapshots(server: ServerFactory, database_url: str) -> None:
    """A hello makes the pool; changes are shown once each, however many at a time; a deleted pool ends it."""
    api = server(database_url).api_url
    template = {"job_configuration": {"a": "{{ a }}"}, "variables": {"properties": {"a": {"type": "string"}}}}
    async with httpx.AsyncClient(base_url=api) as client, connected(api, "made") as socket:
        said = hello(create_pool_if_not_found=True, default_base_job_template=template)
        ready = await talk(socket, said)
        payload = ready["payload"]
        assert ready["type"] == "worker.ready.v1"
        assert payload["rejected_capabilities"] == ["other.v1"]
        assert [one["name"] for one in payload["resolved_work_queues"]] == ["default"]
        shown = payload["initial_snapshot"]["work_pool"]
        assert (shown["status"], shown["base_job_template"]) == ("READY", template)
        for limit in (1, 2, 3):
            assert (await client.patch("/work_pools/made", json={"concurrency_limit": limit})).status_code == 204
        snapshots = [json.loads(await socket.recv())["payload"]]
        while snapshots[-1]["work_pool"]["concurrency_limit"] != 3:
            snapshots.append(json.loads(await socket.recv())["payload"])
        assert [one["snapshot_sequence"] for one in snapshots] == list(range(2, 2 + len(snapshots)))
        assert snapshots[-1]["reason"] == "work_pool_updated"
        with contextlib.suppress(TimeoutError):  # a change may have come after the pool was read that shows it
            while True:
                await asyncio.wait_for(socket.recv(), 1)
        await client.patch("/work_pools/made", json={"description": "not shown at once"})
        beat = {name: said["payload"][name] for name in ("consumer_id", "worker_name", "heartbeat_interval_seconds")}
        reconciled = await talk(socket, frame("worker.heartbeat.v1", beat))
        assert reconciled["payload"]["reason"] == "heartbeat_reconciliation"
        assert reconciled["payload"]["work_pool"]["description"] == "not shown at once"
        await client.delete("/work_pools/made")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "authorization_failed")


REFUSED: list[tuple[str, Any, int, str]] = [
    ("nobody", hello(), 1008, "authorization_failed"),
    ("prefect-x", hello(create_pool_if_not_found=True), 1008, "authorization_failed"),
    ("there", hello(work_queue_names=["nobody"]), 1008, "authorization_failed"),
    ("there", hello(supported_channel_versions=["v9"]), 1008, "unsupported_version"),
    ("there", hello(requested_capabilities=["worker_heartbeat.v1"]), 1002, "protocol_error"),
    ("there", hello(handled_cleanup_kinds=[KIND]), 1002, "protocol_error"),
    ("there", hello(unknown=1), 1002, "protocol_error"),
    ("there", hello(heartbeat_interval_seconds=0), 1002, "protocol_error"),
    ("there", frame("worker.heartbeat.v1", {}), 1002, "protocol_error"),
    ("there", "{", 1002, "protocol_error"),
    ("there", "[]", 1002, "protocol_error"),
]


@pytest.mark.asyncio
async def test_what_ends_a_channel(server: ServerFactory, database_url: str) -> None:
    """Who breaks the rules is told why; nothing is made."""
    api = server(database_url).api_url
    async with httpx.AsyncClient(base_url=api) as client:
        await client.post("/work_pools/", json={"name": "there", "type": "process"})
        for name, said, code, reason in REFUSED:
            async with connected(api, name) as socket:
                with pytest.raises(ConnectionClosed) as closed:
                    await talk(socket, said)
                assert closed.value.rcvd is not None, said
                assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason), said
        assert (await client.post("/work_pools/there/workers/filter", json={})).json() == []
        assert (await client.post("/work_pools/count", json={})).json() == 1


class Worker:
    """A recipient that keeps what it gets."""

    def __init__(self, pool_id: str, name: str, *, most: int = 1, queue_ids: tuple[str, ...] = ()) -> None:
        self.pool_id, self.key, self.most = pool_id, (pool_id, "consumer", name), most
        self.kinds: Collection[str] = (KIND,)
        self.queue_ids: Collection[str] = queue_ids
        self.got: list[Any] = []
        self.reachable = True

    async def deliver(self, message: Any) -> bool:
        if self.reachable:
            self.got.append((message.id, message.token))
        return self.reachable


def test_messages_are_one_workers_at_a_time(kernel: KernelUnderTest) -> None:
    """By queue first, then in turn; ended leases are handed out again, at most three times."""
    pool_id = pool(kernel)["id"]
    queue = queue_of(kernel.kernel)
    mine, other = Worker(pool_id, "mine", queue_ids=("q",)), Worker(pool_id, "other", queue_ids=("z",))

    async def settle() -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def play() -> None:
        queue.dispatcher.join(other)
        queue.dispatcher.join(mine)
        for id in "abc":
            queue.enqueue(id, f"key {id}", pool_id, KIND, {"flow_run_id": id}, queue_id="q")
        assert queue.enqueue("x", "key a", pool_id, KIND, {}).id == "a"
        await settle()
        assert ([id for id, _ in mine.got], [id for id, _ in other.got]) == (["a"], ["b"])
        token = mine.got[0][1]
        assert queue.ack(pool_id, "a", "wrong").status == "invalid_token"
        assert queue.ack("elsewhere", "a", token).status == "unauthorized"
        assert queue.ack(pool_id, "c", token).status == "not_current"
        assert queue.ack(pool_id, "z", token).status == "not_found"
        assert queue.renew(pool_id, "a", token).status == "accepted"
        assert queue.ack(pool_id, "a", token).status == "accepted"
        queue.dispatcher.forget(mine, token)
        await settle()
        assert [id for id, _ in mine.got] == ["a", "c"]
        queue.dispatcher.leave(other)
        for _ in range(3):
            kernel.clock.advance(seconds=31)
            queue.expire(100)
            await settle()
        assert [id for id, _ in mine.got].count("b") + 1 + [id for id, _ in mine.got].count("c") <= 6
        assert queue.release(pool_id, "b", "stale").status in ("invalid_token", "not_current", "not_found")
        queue.dispatcher.leave(mine)

    kernel.run(play())


def test_the_reconciler(kernel: KernelUnderTest) -> None:
    """It ends leases that have run out; after three deliveries a message is dead."""
    pool_id = pool(kernel)["id"]
    queue = queue_of(kernel.kernel)
    queue.enqueue("a", "key", pool_id, KIND, {})
    for _ in range(3):
        assert queue.reserve(pool_id, [KIND], None) is not None
        assert queue.reserve(pool_id, [KIND], None) is None
        kernel.clock.advance(seconds=29)
        kernel.tick("cleanup-reconciler")
        assert queue.messages["a"].token is not None
        kernel.clock.advance(seconds=2)
        kernel.tick("cleanup-reconciler")
    assert not queue.messages
    assert queue.dead["a"][1] == "max_delivery_attempts_reached"


def test_there_is_room_for_so_many(kernel: KernelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody fetches makes way for what is new; what is dealt with, or dead, is not known for ever."""
    monkeypatch.setattr(cleanup, "MOST", 4)
    queue = cleanup.CleanupQueue(kernel.kernel)

    def put(id: str, pool_id: str = "p") -> str:
        return queue.enqueue(id, f"key {id}", pool_id, KIND, {}).id

    for id in "abcd":
        put(id)
    first = queue.reserve("p", [KIND], None)
    assert first is not None
    assert first.id == "a"
    put("e", "other")
    assert list(queue.messages) == ["a", "c", "d", "e"], "what a worker has stays"
    assert queue.enqueue("x", "key b", "p", KIND, {}).id == "x", "what was dropped may come again"
    assert first.token is not None
    assert queue.ack("p", "a", first.token).status == "accepted"
    assert queue.enqueue("y", "key a", "p", KIND, {}).id == "a", "what is done is not done again"
    for n in range(10):
        put(f"n{n}")
        while (message := queue.reserve("p", [KIND], None)) is not None:
            assert message.token is not None
            assert queue.ack("p", message.id, message.token).status == "accepted"
    assert len(queue._done) == 4
    assert len(queue._keys) == len(queue.messages) + len(queue._done) + len(queue.dead)
    for n in range(10):
        put(f"m{n}")
        for _ in range(3):
            assert queue.reserve("p", [KIND], None) is not None
            kernel.clock.advance(seconds=31)
            queue.expire(100)
    assert list(queue.dead) == ["m6", "m7", "m8", "m9"]
    assert len(queue._keys) == len(queue.messages) + len(queue._done) + len(queue.dead)
    assert set(queue._of_pool) == {"other"}
    assert not queue._reserved


def test_what_is_handed_out_again_keeps_its_place(kernel: KernelUnderTest) -> None:
    """The oldest message is the next one, also when a worker had it before."""
    queue = queue_of(kernel.kernel)
    for id in "ab":
        queue.enqueue(id, id, "p", KIND, {})
    first = queue.reserve("p", [KIND], None)
    assert first is not None
    assert first.token is not None
    assert queue.release("p", "a", first.token).status == "accepted"
    again = queue.reserve("p", [KIND], None)
    assert again is not None
    assert (again.id, again.deliveries) == ("a", 2)
