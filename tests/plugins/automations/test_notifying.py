"""Where notifications and webhooks may not go, in Prefect's words."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import httpcore
import httpx
import pytest

from prefect_kernel_plugins.automations import notifying
from prefect_kernel_plugins.automations.public import check_public, public_transport

pytestmark = [pytest.mark.asyncio]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/", "'ftp://example.com/' is not a valid URL.  Only HTTP and HTTPS URLs are allowed."),
        ("http:///path", "'http:///path' is not a valid URL."),
        ("http://10.0.0.1/", "'http://10.0.0.1/' is not a valid URL.  It resolves to the private address 10.0.0.1."),
        ("https://[::1]/", "'https://[::1]/' is not a valid URL.  It resolves to the private address ::1."),
        ("http://host.invalid/", "'http://host.invalid/' is not a valid URL.  It could not be resolved."),
    ],
)
async def test_what_is_refused(url: str, reason: str) -> None:
    """Other schemes, no host, private addresses, and hosts that are none."""
    with pytest.raises(ValueError, match="not a valid URL") as refused:
        await check_public(url)
    assert str(refused.value) == reason


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ninner")
    await writer.drain()
    writer.close()


async def test_a_name_that_leads_elsewhere_a_moment_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that is connected to is one that was checked, not whatever the name leads to by then."""
    answers = ["8.8.8.8", "127.0.0.1", "127.0.0.1"]

    def resolve(_host: str, port: Any, *_more: Any, **_named: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port or 0))]

    async with await asyncio.start_server(_answer, "127.0.0.1", 0) as server:
        url = f"http://rebind.example:{server.sockets[0].getsockname()[1]}/"
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        options = await notifying._client_options({"allow_private_urls": False}, url)
        async with httpx.AsyncClient(**options) as client:
            with pytest.raises(httpx.ConnectError) as refused:
                await client.get(url)
    assert str(refused.value) == (
        "Refusing to connect to 'rebind.example': It resolves to the private address 127.0.0.1."
    )


async def test_addresses_are_tried_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several public addresses the first that answers is used; the name is still what the server is told."""
    connected: list[str] = []

    class Backend:
        async def connect_tcp(self, host: str, *_more: Any) -> Any:
            connected.append(host)
            raise httpcore.ConnectError(host)

    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_a, **_k: [(2, 1, 6, "", ("8.8.8.8", 0)), (2, 1, 6, "", ("8.8.4.4", 0))]
    )
    transport = public_transport()
    transport._pool._network_backend._wrapped = Backend()  # type: ignore[attr-defined]
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(httpx.ConnectError, match=r"8\.8\.4\.4"):
            await client.get("http://two.example/")
    assert connected == ["8.8.8.8", "8.8.4.4"]


async def test_an_answer_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says a little now and then, for ever, is not listened to for ever; nor is who says too much."""
    monkeypatch.setattr(notifying, "LONGEST_SECONDS", 1.0)
    monkeypatch.setattr(notifying, "READ_BYTES", 1000)
    pause = 0.05

    talks: list[asyncio.Task[None] | None] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        with contextlib.suppress(OSError):
            try:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    writer.write(b"x" * 10)
                    await writer.drain()
                    await asyncio.sleep(pause)
            finally:
                writer.close()
                await writer.wait_closed()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with httpx.AsyncClient(timeout=0.9) as client:
            with pytest.raises(TimeoutError):
                await notifying._request(client, "GET", url)
            pause = 0
            response, text = await notifying._request(client, "GET", url)
        await asyncio.gather(*(one for one in talks if one is not None))
    assert response.status_code == 200
    assert 1000 < len(text) < 1_000_000
