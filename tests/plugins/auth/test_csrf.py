"""CSRF tokens."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel.errors import SettingsError
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel.testing.client import Answer


@pytest.fixture
def guarded(make_kernel: MakeKernel, prepared_url: str) -> KernelUnderTest:
    """A kernel that wants tokens."""
    return make_kernel(storage=prepared_url, settings={"PREFECT_SERVER_CSRF_PROTECTION_ENABLED": True})


def send(kernel: KernelUnderTest, token: str | None, client: str | None, method: str = "POST", **more: Any) -> Answer:
    """Ask for something that is a change."""
    named = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": client}
    headers = {name: value for name, value in named.items() if value is not None}
    return kernel.client.request(method, more.pop("path", "/flows/filter"), json={}, headers=headers, **more)


def token(kernel: KernelUnderTest, client: str = "me") -> dict[str, Any]:
    """A new token."""
    answer = kernel.client.get("/csrf-token", params={"client": client})
    assert answer.status == 200, answer.text
    given: dict[str, Any] = answer.json()
    return given


def test_a_token(guarded: KernelUnderTest) -> None:
    """A client has one token; asking again gives another, in the same row."""
    first = token(guarded)
    assert list(first) == ["id", "created", "updated", "token", "client", "expiration"]
    assert re.fullmatch("[0-9a-f]{64}", first["token"])
    assert first["expiration"] == "2030-01-01T13:00:00Z"
    assert send(guarded, first["token"], "me").status == 200
    guarded.clock.advance(seconds=60)
    second = token(guarded)
    assert {**second, "token": "", "expiration": ""} == {**first, "token": "", "expiration": ""}
    assert second["token"] != first["token"]
    assert second["expiration"] == "2030-01-01T13:01:00Z"
    assert send(guarded, first["token"], "me").status == 403
    assert send(guarded, second["token"], "me").status == 200


def test_refusals(guarded: KernelUnderTest) -> None:
    """What is missing or wrong is said; nothing that only reads is refused, and everything else is."""
    mine, other = token(guarded)["token"], token(guarded, "other")["token"]
    invalid = "Invalid CSRF token or client identifier."
    for given, client, detail in (
        (None, "me", "Missing CSRF token."),
        (None, None, "Missing CSRF token."),
        (mine, None, "Missing client identifier."),
        (mine, "other", invalid),
        (other, "me", invalid),
        ("", "me", invalid),
        ("ü", "me", invalid),
        (mine, "", invalid),
        (mine, "nobody", invalid),
    ):
        answer = send(guarded, given, client)
        assert (answer.status, answer.json()) == (403, {"detail": detail})
        assert "vary" not in answer.headers
        assert answer.headers.get("access-control-allow-origin") == ("*" if detail == invalid else None)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/api/flows/", "/api/nothing", "/", "/ui-settings"):
            assert send(guarded, None, None, method, path=path, absolute=True).status == 403
    assert guarded.client.get("/hello").status == 200
    assert send(guarded, None, None, "OPTIONS").status == 405


def test_tokens_expire(guarded: KernelUnderTest) -> None:
    """After an hour a token is worth nothing, and the next request for one forgets it."""
    old = token(guarded)["token"]
    guarded.clock.advance(seconds=3599)
    assert send(guarded, old, "me").status == 200
    guarded.clock.advance(seconds=1)
    assert send(guarded, old, "me").status == 403
    guarded.clock.advance(seconds=1)
    new = token(guarded, "other")
    assert send(guarded, new["token"], "other").status == 200
    assert send(guarded, old, "me").status == 403


def test_how_long_they_are_good_for(make_kernel: MakeKernel) -> None:
    """The setting says it."""
    kernel = make_kernel(
        settings={
            "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": True,
            "PREFECT_SERVER_CSRF_TOKEN_EXPIRATION": timedelta(seconds=10),
        }
    )
    assert token(kernel)["expiration"] == "2030-01-01T12:00:10Z"


def test_odd_clients(guarded: KernelUnderTest) -> None:
    """Names of clients may be any text that can be stored."""
    for client in ("", "x" * 1000, "grün", "a b'c\"d"):
        assert token(guarded, client)["client"] == client
    assert guarded.client.get("/csrf-token").status == 422
    assert guarded.client.get("/csrf-token", params={"client": "a\0b"}).status in (200, 422)
    assert send(guarded, "x", "\x01").status == 403


def test_switched_off(kernel: KernelUnderTest) -> None:
    """Clients are told, and stop asking."""
    answer = kernel.client.get("/csrf-token", params={"client": "me"})
    assert (answer.status, answer.json()) == (422, {"detail": "CSRF protection is disabled."})
    assert send(kernel, None, None).status == 200


def test_it_cannot_be_left_out(make_kernel: MakeKernel) -> None:
    """A server whose settings ask for tokens never does without them."""
    with pytest.raises(SettingsError, match="csrf cannot be disabled"):
        make_kernel(settings={"PREFECT_KERNEL_DISABLE": "csrf"})
