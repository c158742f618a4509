"""`/events/out` over real sockets, and filters on live events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from prefect_kernel_plugins.events.filters import EventFilter
from prefect_kernel_plugins.events.matching import includes
from prefect_kernel_plugins.events.received import Received, from_frame, from_messages, to_messages
from tests.support.fixtures import ServerFactory

from .sockets import PATIENCE, PREFECT, an_event, checkpoint, events_socket, send_all


@asynccontextmanager
async def subscriber(api_url: str, *first: Any) -> AsyncIterator[ClientConnection]:
    """A socket of `/events/out` that has authenticated and sent its first frames."""
    url = api_url.replace("http", "ws", 1) + "/events/out"
    async with asyncio.timeout(PATIENCE), connect(url, subprotocols=[PREFECT]) as socket:
        await socket.send('{"type": "auth", "token": null}')
        assert json.loads(await socket.recv()) == {"type": "auth_success"}
        for frame in first:
            await socket.send(frame if isinstance(frame, str) else json.dumps(frame))
        yield socket


def named(*names: str, **more: Any) -> dict[str, Any]:
    """What a client sends to subscribe to events of these names, as Prefect's does."""
    until = (datetime.now(UTC) + timedelta(days=365)).isoformat()
    return {"type": "filter", "filter": {"event": {"name": list(names)}, "occurred": {"until": until}}, **more}


async def take(socket: ClientConnection, number: int) -> list[dict[str, Any]]:
    """The next events."""
    frames = [json.loads(await socket.recv()) for _ in range(number)]
    assert {frame["type"] for frame in frames} == {"event"}
    return [frame["event"] for frame in frames]


@pytest.mark.asyncio
async def test_stored_events_come_first_then_live_ones(server: ServerFactory, database_url: str) -> None:
    """A subscriber gets the events of the last minutes, oldest first, then what comes in; each once, as it is stored.

    Pages of the backfill are followed to their end.
    """
    api = server(database_url, env={"PREFECT_EVENTS_WEBSOCKET_BACKFILL_PAGE_SIZE": "4"}).api_url
    now = datetime.now(UTC)
    old = an_event("test.a", occurred=(now - timedelta(minutes=16)).isoformat())
    before = [an_event("test.a", occurred=(now - timedelta(seconds=30 - n)).isoformat()) for n in range(10)]
    async with events_socket(api) as sender:
        await send_all(sender, [old, *before, an_event("test.other")])
        await checkpoint(sender)
        async with subscriber(api, named("test.a", "test.b")) as socket:
            assert [one["id"] for one in await take(socket, 10)] == [one["id"] for one in before]
            live = an_event("test.b", payload={"big": 2**70, "text": "ü"})
            again = an_event("test.a")
            await send_all(sender, [an_event("test.other"), live, live, before[0], again])
            first, second = await take(socket, 2)
            assert (first["id"], second["id"]) == (live["id"], again["id"])
    async with httpx.AsyncClient() as client:
        body = {"filter": {"id": {"id": [live["id"]]}}}
        assert (await client.post(f"{api}/events/filter", json=body)).json()["events"] == [first]


@pytest.mark.asyncio
async def test_without_a_backfill(server: ServerFactory, sqlite_url: str) -> None:
    """A subscriber who wants no backfill gets only what comes in, from clients and from the server itself."""
    api = server(sqlite_url).api_url
    async with events_socket(api) as sender, httpx.AsyncClient(base_url=api) as client:
        await send_all(sender, [an_event("test.a")])
        await checkpoint(sender)
        async with subscriber(api, named("test.a", "prefect.flow-run.Running", backfill=False)) as socket:
            flow = (await client.post("/flows/", json={"name": "f"})).json()["id"]
            run = (await client.post("/flow_runs/", json={"flow_id": flow})).json()["id"]
            state = {"state": {"type": "RUNNING"}, "force": True}
            await client.post(f"/flow_runs/{run}/set_state", json=state)
            (found,) = await take(socket, 1)
            assert found["resource"]["prefect.resource.id"] == f"prefect.flow-run.{run}"
            sent = an_event("test.a")
            await send_all(sender, [sent])
            await socket.send("whatever a client says is ignored")
            assert [one["id"] for one in await take(socket, 1)] == [sent["id"]]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ({"type": "hello"}, "Expected 'filter' message"),
        ("no json", "Expected 'filter' message"),
        ({"type": "filter"}, "Invalid filter: 'filter'"),
        ({"type": "filter", "filter": {"x" * 500: 1}}, "Invalid filter: 1 validation error for EventFilter"),
    ],
    ids=["another type", "no json", "no filter", "unknown member"],
)
async def test_what_is_no_filter(server: ServerFactory, sqlite_url: str, frame: Any, reason: str) -> None:
    """It is closed with 1002 and as much of the reason as a close frame has room for."""
    async with subscriber(server(sqlite_url).api_url, frame) as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1002
        assert (socket.close_reason or "").startswith(reason)


# ---------------------------------------------------------------- filters
def received(**fields: Any) -> Received:
    """An event that has come in."""
    resource = {"prefect.resource.id": "item.1", "colour": "red"}
    related = [{"prefect.resource.id": "shelf.1", "prefect.resource.role": "shelf", "size": "big"}]
    event = an_event("shop.a", **{"resource": resource, "related": related, "payload": {"n": "Fragile"}, **fields})
    found = from_frame(json.dumps(event), datetime.now(UTC))
    assert found is not None
    return found


def test_what_other_processes_are_told() -> None:
    """An event is the same there, integers of any size included."""
    event = received(payload={"n": 2**70, "m": [-(2**65), 1.5]})
    (other,) = from_messages(to_messages([event]))
    assert other.json() == event.json()
    assert other.payload == {"n": 2**70, "m": [-(2**65), 1.5]}


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({}, True),
        ({"event": {"name": ["shop.a"]}}, True),
        ({"event": {"name": ["shop"]}}, False),
        ({"event": {"prefix": ["shop."]}}, True),
        ({"event": {"prefix": ["Shop."]}}, False),
        ({"event": {"exclude_prefix": ["shop."]}}, False),
        ({"event": {"exclude_name": ["shop.a"]}}, False),
        ({"resource": {"id": ["item.1"]}}, True),
        ({"resource": {"id": ["shelf.1"]}}, False),
        ({"resource": {"id_prefix": ["item"]}}, True),
        ({"resource": {"id_prefix": ["shelf"]}}, False),
        ({"resource": {"labels": {"colour": "r*"}}}, True),
        ({"resource": {"labels": {"colour": ["blue", "!green"]}}}, True),
        ({"resource": {"labels": {"colour": "!red"}}}, False),
        ({"resource": {"labels": {"size": "!x"}}}, False),
        ({"resource": {"labels": {"colour": []}}}, False),
        ({"resource": {"distinct": True}}, True),
        ({"related": {"id": ["nobody"]}}, True),
        ({"any_resource": {"id": ["shelf.1"]}}, True),
        ({"any_resource": {"id_prefix": ["nobody"]}}, False),
        ({"any_resource": {"labels": {"size": "big"}}}, True),
        ({"any_resource": {"id": ["item.1"], "labels": {"size": "big"}}}, False),
        ({"any_resource": [{"id": ["item.1"]}, {"labels": {"size": "b?g"}}]}, True),
        ({"any_resource": [{"id": ["item.1"]}, {"id": ["item.2"]}]}, False),
        ({"text": {"query": "FRAGILE"}}, True),
        ({"text": {"query": "-fragile"}}, False),
        ({"text": {"query": "+shelf +big nothing shop"}}, True),
        ({"text": {"query": "colour"}}, False),
        ({"id": {"id": ["00000000-0000-4000-8000-000000000000"]}}, False),
        ({"occurred": {"until": "2020-01-01T00:00:00Z"}}, False),
    ],
    ids=str,
)
def test_filters_on_live_events(filter: dict[str, Any], expected: bool) -> None:
    """The reference's rules for events that come in: globs and case tell, labels' keys are not searched."""
    found = EventFilter.model_validate(filter)
    event = received()
    found.occurred.resolve(datetime.now(UTC))
    assert expected is includes(found, event)
