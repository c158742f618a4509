"""Limits of what clients may send, as settings have them."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from prefect_kernel.cli.serve import serve_config
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from tests.support.fixtures import ServerFactory


def nested(levels: int, inner: str = "1") -> bytes:
    """A variable whose value is nested; the body itself is one level."""
    return b'{"name": "x", "value": ' + b"[" * (levels - 1) + inner.encode() + b"]" * (levels - 1) + b"}"


def test_depth(make_kernel: MakeKernel) -> None:
    """JSON that is nested too deeply is refused, and nothing is made of it; what stands in texts does not count."""
    kernel = make_kernel(settings={"PREFECT_KERNEL_MAX_JSON_DEPTH": 20})
    for body in (nested(21), nested(1000), nested(100_000), b"[" * 21, b'{"a":' * 30):
        answer = kernel.client.post("/variables/", json=body)
        assert answer.status == 422, answer.text
        assert answer.json()["exception_detail"][0]["msg"] == "JSON may be nested to 20 levels"
    assert kernel.client.post("/variables/count", json={}).json() == 0
    flat = [[]] * 100
    good: list[Any] = [nested(20), {"name": "flat", "value": flat}, {"name": "text", "value": '[{"\\' * 100}]
    for body in good:
        assert kernel.client.post("/variables/", json=body).status == 201
    assert kernel.client.post("/variables/", json=b"[" * 10).status == 422, "half of a body is the parser's business"


def test_depth_by_default(make_kernel: MakeKernel) -> None:
    """Without a setting the parser has a limit, and says what Prefect says."""
    kernel: KernelUnderTest = make_kernel()
    assert kernel.client.post("/variables/", json=nested(200)).status == 201
    answer = kernel.client.post("/variables/", json=nested(100_000))
    assert (answer.status, answer.json()) == (400, {"detail": "There was an error parsing the body"})


def test_settings_reach_the_server(make_kernel: MakeKernel) -> None:
    """What the server of connections looks after is told to it."""
    kernel = make_kernel(
        settings={
            "PREFECT_KERNEL_HEADER_TIMEOUT_SECONDS": 3,
            "PREFECT_KERNEL_MAX_HEADER_BYTES": 2000,
            "PREFECT_KERNEL_MAX_WEBSOCKET_BYTES": 3000,
            "PREFECT_KERNEL_BODY_TIMEOUT_SECONDS": 4,
            "PREFECT_KERNEL_MAX_BODY_BYTES": 5000,
        }
    )
    config = serve_config(kernel.kernel.settings)
    assert (config.header_timeout, config.max_header_size, config.body_timeout) == (3, 2000, 4)
    assert (config.websocket_max_message_size, config.max_body_size) == (3000, 5000)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_gigabyte(server: ServerFactory, sqlite_url: str, chunked: bool) -> None:
    """A body that is too large is refused while it comes, thrown away, and never held."""
    running = server(sqlite_url, env={"PREFECT_KERNEL_MAX_BODY_BYTES": str(1024 * 1024)})
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    connection.putrequest("POST", "/api/variables/")
    connection.putheader("content-type", "application/json")
    if chunked:
        connection.putheader("transfer-encoding", "chunked")
    else:
        connection.putheader("content-length", str(1024**3))
    connection.endheaders()
    piece = b" " * 65536
    sent = 0
    try:
        while chunked and sent < 1024**3:
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            sent += len(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server does not read on for ever
    answer = connection.getresponse()
    assert answer.status == 413
    connection.close()
    connection.request("POST", "/api/variables/count", b"{}", {"content-type": "application/json"})
    assert json.loads(connection.getresponse().read()) == 0
    connection.close()
