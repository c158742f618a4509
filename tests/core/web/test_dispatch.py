"""What every request meets before and after its endpoint."""

from __future__ import annotations

import asyncio
import gzip
import logging
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from prefect_kernel import errors, hookimpl, web
from prefect_kernel.testing import KernelUnderTest, MakeKernel

ORIGIN = "https://ui.example"

group = web.Group("Acme", prefix="/acme")


class Order(BaseModel):
    """A body that knows its fields."""

    model_config = ConfigDict(extra="forbid")

    kind: str


RAISED: dict[str, Exception] = {
    "missing": errors.NotFound("There is no such thing."),
    "away": errors.StorageUnavailable("the database is away"),
    "raced": errors.Raced(),
    "unique": errors.UniqueViolation("uq_acme"),
    "integrity": errors.IntegrityViolation("fk_acme"),
    "value": errors.InvalidValue("too large"),
    "deep": RecursionError(),
    "bug": KeyError("nothing"),
}


@group.post("/orders", body=Order, status=201)
async def order(request: web.Request, body: Order) -> web.Reply:
    """Say what was ordered."""
    return web.json({"kind": body.kind}, 201)


@group.post("/fail", body=Order)
async def fail(request: web.Request, body: Order) -> web.Reply:
    """Fail as told."""
    raise RAISED[body.kind]


@group.get("/long")
async def long(request: web.Request) -> web.Reply:
    """Say a lot."""
    return web.json(["nothing new"] * 1000)


@group.get("/things/{name}")
async def thing(request: web.Request) -> web.Reply:
    """Say which thing."""
    return web.json(request.path["name"])


class Acme:
    """A plugin with routes."""

    __name__ = "acme"

    @hookimpl
    def kernel_routes(self, settings: Any) -> Any:
        return [group]


@pytest.fixture
def kernel(make_kernel: MakeKernel) -> KernelUnderTest:
    """A kernel with these routes."""
    made: KernelUnderTest = make_kernel(Acme())
    return made


@pytest.mark.parametrize(
    ("kind", "status", "says"),
    [
        ("missing", 404, "There is no such thing."),
        ("away", 503, "Service Unavailable"),
        ("raced", 503, "Service Unavailable"),
        ("unique", 409, "Data integrity conflict"),
        ("integrity", 409, "Data integrity conflict"),
        ("value", 422, "too large"),
        ("deep", 400, "error parsing the body"),
    ],
)
def test_errors_become_answers(kernel: KernelUnderTest, kind: str, status: int, says: str) -> None:
    """Each kind has its status, and a sentence."""
    answer = kernel.client.post("/acme/fail", json={"kind": kind})
    assert (answer.status, says in answer.text) == (status, True), answer.text
    assert answer.headers["content-type"] == "application/json"


def test_what_should_come_again_says_when(kernel: KernelUnderTest) -> None:
    """A client that waits for `Retry-After` finds it."""
    assert float(kernel.client.post("/acme/fail", json={"kind": "away"}).headers["retry-after"]) > 0


def test_a_bug_is_logged_and_not_shown(kernel: KernelUnderTest, caplog: pytest.LogCaptureFixture) -> None:
    """The answer says nothing of the inside; the log names the endpoint and its plugin."""
    with caplog.at_level(logging.ERROR, "prefect_kernel.web"):
        answer = kernel.client.post("/acme/fail", json={"kind": "bug"})
    assert (answer.status, answer.json()) == (500, {"exception_message": "Internal Server Error"})
    assert "POST /acme/fail (plugin acme) failed" in caplog.text


def test_a_wrong_method(kernel: KernelUnderTest) -> None:
    """Is refused with the one that would do."""
    answer = kernel.client.get("/acme/orders")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_unknown_paths(kernel: KernelUnderTest) -> None:
    """404, in JSON."""
    answer = kernel.client.get("/acme/nothing/of/it")
    assert (answer.status, answer.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize(("path", "leads_to"), [("/acme/orders/", "/acme/orders"), ("/flows", "/flows/")])
def test_the_other_slash(kernel: KernelUnderTest, path: str, leads_to: str) -> None:
    """A slash too many or too few leads to where the route is, with the query."""
    answer = kernel.client.post(path, params={"a": "b c"})
    assert answer.status == 307
    assert answer.headers["location"] == f"http://testserver/api{leads_to}?a=b+c"


def test_long_answers_are_packed_when_asked_for(kernel: KernelUnderTest) -> None:
    """And only then; caches are told that it matters."""
    plain = kernel.client.get("/acme/long")
    packed = kernel.client.get("/acme/long", headers={"Accept-Encoding": "br, gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 10
    assert gzip.decompress(packed.body) == plain.body
    assert "Accept-Encoding" in plain.headers["vary"]


def test_short_answers_are_not_packed(kernel: KernelUnderTest) -> None:
    """It would cost more than it saves."""
    answer = kernel.client.get("/acme/things/a", headers={"Accept-Encoding": "gzip"})
    assert ("content-encoding" in answer.headers, answer.json()) == (False, "a")


@pytest.mark.parametrize(
    ("version", "status"), [("0.8.4", 200), ("0.8.0", 200), ("0.9.0", 200), ("0.7.9", 400), ("eight", 400)]
)
def test_versions_of_the_api(kernel: KernelUnderTest, version: str, status: int) -> None:
    """A client of a version that is too old, or none, is told so."""
    answer = kernel.client.get("/acme/things/a", headers={"X-PREFECT-API-VERSION": version})
    assert answer.status == status, answer.text


def test_pages_of_other_origins(make_kernel: MakeKernel) -> None:
    """Only those that the settings name may read answers, and only with the methods that they name."""
    kernel = make_kernel(
        Acme(),
        settings={
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ORIGIN,
            "PREFECT_SERVER_CORS_ALLOWED_METHODS": "GET,POST",
        },
    )

    def preflight(origin: str, method: str) -> tuple[int, str]:
        asked = {"Origin": origin, "Access-Control-Request-Method": method}
        answer = kernel.client.request("OPTIONS", "/acme/orders", headers=asked)
        return answer.status, answer.text

    assert preflight(ORIGIN, "POST") == (200, "OK")
    assert preflight(ORIGIN, "DELETE") == (400, "Disallowed CORS method")
    assert preflight("https://evil.example", "POST") == (400, "Disallowed CORS origin")
    seen = kernel.client.get("/acme/things/a", headers={"Origin": ORIGIN})
    hidden = kernel.client.get("/acme/things/a", headers={"Origin": "https://evil.example"})
    assert seen.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in hidden.headers


def test_large_bodies(make_kernel: MakeKernel) -> None:
    """413, before anything looks at them."""
    kernel = make_kernel(Acme(), settings={"PREFECT_KERNEL_MAX_BODY_BYTES": 100})
    assert kernel.client.post("/acme/orders", json={"kind": "x" * 50}).status == 201
    assert kernel.client.post("/acme/orders", json={"kind": "x" * 100}).status == 413


@pytest.mark.parametrize("came", [None, b"", b'{"kind":'])
def test_clients_that_die_before_their_body(kernel: KernelUnderTest, came: bytes | None) -> None:
    """A head without the body that it announces is no request with an empty body: many routes would act on that."""
    messages: list[dict[str, Any]] = [] if came is None else [{"type": "http.request", "body": came, "more_body": True}]
    coming = iter([*messages, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(coming)

    request = web.Request(kernel.kernel, {"type": "http", "headers": []}, receive, {})
    with pytest.raises(errors.BadRequest):
        asyncio.run(request.read(1000))


def test_fields_of_newer_clients(make_kernel: MakeKernel, caplog: pytest.LogCaptureFixture) -> None:
    """Are refused, or where a setting says so left out with one warning."""
    newer = {"kind": "a", "since": "4.0"}
    assert make_kernel(Acme()).client.post("/acme/orders", json=newer).status == 422
    lenient = make_kernel(Acme(), settings={"PREFECT_KERNEL_IGNORE_UNKNOWN_FIELDS": True})
    with caplog.at_level(logging.WARNING, "prefect_kernel.web"):
        answers = [lenient.client.post("/acme/orders", json=newer) for _ in range(3)]
    assert [answer.status for answer in answers] == [201] * 3
    assert caplog.text.count("'since' is not known and ignored") == 1
    assert lenient.client.post("/acme/orders", json={"since": "4.0"}).status == 422


def test_a_header_that_comes_twice(kernel: KernelUnderTest) -> None:
    """The first one counts, as for Python Prefect: what a proxy in front has looked at is not overruled by a second."""
    scope = {"headers": [(b"authorization", b"first"), (b"x", b"y"), (b"authorization", b"second")]}
    request = web.Request(kernel.kernel, scope, None, {})
    assert [request.header(name) for name in ("authorization", "x", "z")] == ["first", "y", None]
