"""Several server processes on one PostgreSQL: what happens in one is followed in another, over each shared broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from prefect_kernel.ids import uuid4
from tests.plugins.events.sockets import an_event, checkpoint, events_socket, send_all
from tests.support.fixtures import ServerFactory
from tests.support.kernel import clean_environment
from tests.support.processes import Process

from .streams import events_named, following

pytestmark = [pytest.mark.asyncio]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return once a condition holds."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - it is asked of a server
            await asyncio.sleep(0.1)


# Named before `server` in each test: the servers have ended when their Redis database is emptied.
@pytest.fixture(params=["default", "redis"])
def broker(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Settings of a shared broker: none, which means PostgreSQL itself, and Redis in the words of Prefect's package."""
    if request.param == "default":
        return {}
    return {
        "PREFECT_MESSAGING_BROKER": "prefect_redis.messaging",
        "PREFECT_MESSAGING_CACHE": "prefect_redis.messaging",
        "PREFECT_REDIS_MESSAGING_URL": request.getfixturevalue("redis_url"),
    }


async def test_events_and_logs_of_another_server(
    broker: Mapping[str, str], server: ServerFactory, postgres_url: str
) -> None:
    """Who follows one server gets events and log lines that another has taken in, and its own events; each once."""
    env = {
        **broker,
        "PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED": "1",
        "PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED": "1",
    }
    here, there = server(postgres_url, env=env), server(postgres_url, "--no-services", env=env)
    async with (
        following(there.api_url, "events", events_named("test.a", "prefect.flow-run.Running")) as events,
        following(there.api_url, "logs", {"level": {"ge_": 20}}) as logs,
        events_socket(here.api_url) as sender,
        httpx.AsyncClient(base_url=here.api_url) as client,
    ):
        flow = (await client.post("/flows/", json={"name": "f"})).json()["id"]
        expected: set[str] = set()
        messages: set[str] = set()
        for number in range(10):
            sent = [an_event("test.a", payload={"text": "ü" * 3000}), an_event("test.b"), an_event("test.a")]
            await send_all(sender, sent)
            await checkpoint(sender)
            expected |= {sent[0]["id"], sent[2]["id"]}
            lines = [
                {
                    "name": "l",
                    "level": level,
                    "message": f"{number} {level}",
                    "timestamp": datetime.now(UTC).isoformat(),
                }
                for level in (10, 30)
            ]
            assert (await client.post("/logs/", json=lines)).status_code == 201
            messages.add(f"{number} 30")
        run = (await client.post("/flow_runs/", json={"flow_id": flow})).json()["id"]
        await client.post(f"/flow_runs/{run}/set_state", json={"state": {"type": "RUNNING"}, "force": True})
        await events.until(expected)
        async with asyncio.timeout(15), logs.arrived:
            await logs.arrived.wait_for(lambda: messages <= {line["message"] for line in logs.found})
        async with asyncio.timeout(15), events.arrived:
            await events.arrived.wait_for(lambda: any(e["event"] == "prefect.flow-run.Running" for e in events.found))
        assert len(events.ids) == len(set(events.ids)) == len(expected) + 1
        assert sorted(line["message"] for line in logs.found) == sorted(messages)


async def test_without_a_backfill(broker: Mapping[str, str], server: ServerFactory, postgres_url: str) -> None:
    """Who wants no backfill gets nothing from before, wherever it was taken in."""
    here, there = server(postgres_url, env=broker), server(postgres_url, "--no-services", env=broker)
    async with events_socket(here.api_url) as sender:
        await send_all(sender, [an_event("test.a")])
        await checkpoint(sender)
        async with following(there.api_url, "events", events_named("test.a"), backfill=False) as events:
            async with httpx.AsyncClient(base_url=there.api_url) as client:
                await client.get("/health")  # the filter was sent before, on another connection
            sent: set[str] = set()
            while not events.ids:
                event = an_event("test.a")
                sent.add(event["id"])
                await send_all(sender, [event])
                await asyncio.sleep(0.1)
            await checkpoint(sender)
            assert set(events.ids) <= sent


async def test_workers_of_one_server(broker: Mapping[str, str], server: ServerFactory, postgres_url: str) -> None:
    """With --workers 2, whichever process a client meets, it follows both."""
    kernel = server(postgres_url, "--workers", "2", env=broker)
    streams = []
    try:
        for _ in range(4):
            stream = following(kernel.api_url, "events", events_named("test.a"))
            streams.append((stream, await stream.__aenter__()))
        sent: set[str] = set()
        for _ in range(8):
            async with events_socket(kernel.api_url) as sender:
                event = an_event("test.a", resource={"prefect.resource.id": f"test.{uuid4()}"})
                await send_all(sender, [event])
                await checkpoint(sender)
                sent.add(event["id"])
        for _, follower in streams:
            await follower.until(sent)
            assert len(follower.ids) == len(sent)
    finally:
        for stream, _ in streams:
            await stream.__aexit__(None, None, None)


async def test_tasks_of_another_server(
    broker: Mapping[str, str], server: ServerFactory, postgres_url: str, reference_python: Path, tmp_path: Path
) -> None:
    """What `task.delay()` hands to one server is run once by who serves the task at another, as real clients do it."""
    here, there = server(postgres_url, env=broker), server(postgres_url, "--no-services", env=broker)
    ran, results = tmp_path / "ran", str(tmp_path / "results")
    serving = [
        Process(
            [reference_python, Path(__file__).parent / "background.py", "serve", ran],
            log=tmp_path / f"serving-{number}.log",
            env=clean_environment(
                tmp_path / f"client-{number}", PREFECT_API_URL=kernel.api_url, PREFECT_LOCAL_STORAGE_PATH=results
            ),
        )
        for number, kernel in enumerate([here, there])
    ]
    try:
        async with httpx.AsyncClient() as client:

            async def all_connected() -> bool:
                urls = [f"{kernel.api_url}/task_workers/filter" for kernel in (here, there)]
                return all([(await client.post(url, json={})).json() for url in urls])

            await until(all_connected)
        command = [str(reference_python), str(Path(__file__).parent / "background.py"), "delay", "5"]
        for number, kernel in enumerate([here, there]):
            home = tmp_path / f"caller-{number}"
            env = clean_environment(home, PREFECT_API_URL=kernel.api_url, PREFECT_LOCAL_STORAGE_PATH=results)
            caller = await asyncio.create_subprocess_exec(*command, env=env)
            assert await caller.wait() == 0
        expected = sorted([str(number) for number in range(5)] * 2)
        async with httpx.AsyncClient(base_url=here.api_url) as client:

            async def all_done() -> bool:
                body = {"task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
                done: int = (await client.post("/task_runs/count", json=body)).json()
                return done >= len(expected)

            await until(all_done)
        assert sorted(ran.read_text().split()) == expected
    finally:
        for process in serving:
            process.kill()
