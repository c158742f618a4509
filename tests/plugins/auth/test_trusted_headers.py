"""Callers whom a reverse proxy names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prefect_kernel.errors import SettingsError
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from tests.support.callers import SUCCESS, ask, auth, basic, talk

PROXY, STRANGER = "10.0.0.1", "203.0.113.9"
SETTINGS = {
    "PREFECT_KERNEL_TRUSTED_HEADER_USER": "X-Forwarded-User",
    "PREFECT_KERNEL_TRUSTED_HEADER_NETWORKS": "10.0.0.0/24",
}
ADA = {"x-forwarded-user": "ada"}


def me(kernel: KernelUnderTest, headers: dict[str, str], client: str | None = PROXY, **more: Any) -> Any:
    """Who somebody is found to be; None when they are not known."""
    status, _, body = ask(kernel, "GET", "/api/hello", headers, client=client, **more)
    assert status in (200, 401), body
    return status == 200 or None


def test_only_trusted_peers_are_believed(make_kernel: MakeKernel) -> None:
    """The header counts for the address that has connected, whatever is said about other addresses."""
    kernel = make_kernel(settings={**SETTINGS, "PREFECT_KERNEL_TRUSTED_PROXIES": "10.0.0.0/8"})
    assert me(kernel, ADA)
    for wrong in (STRANGER, "10.0.1.1", "::1", None):
        assert not me(kernel, ADA, wrong)
    assert not me(kernel, {**ADA, "x-forwarded-for": PROXY}, STRANGER)
    assert not me(kernel, {**ADA, "x-forwarded-for": PROXY}, "10.9.9.9")
    assert me(kernel, {**ADA, "x-forwarded-for": STRANGER})
    for nobody in ({}, {"x-forwarded-user": ""}, {"x-forwarded-user": " "}, {"x-forwarded-user": "x" * 201}):
        assert not me(kernel, nobody)
    assert not me(kernel, ADA, repeated=(("X-Forwarded-User", "admin"),)), "one of two may be the client's own"


def test_roles(make_kernel: MakeKernel) -> None:
    """The best role of the groups that the proxy gives; else the default."""
    role = {**SETTINGS, "PREFECT_KERNEL_TRUSTED_HEADER_ROLE": "X-Groups"}
    named = make_kernel(settings=role)
    mapped = make_kernel(
        settings={
            **role,
            "PREFECT_KERNEL_TRUSTED_HEADER_ROLES": {"ops": "editor", "dev": "runner"},
            "PREFECT_KERNEL_TRUSTED_HEADER_DEFAULT_ROLE": "",
        }
    )

    def may(kernel: KernelUnderTest, groups: str | None) -> list[int]:
        headers = ADA if groups is None else {**ADA, "x-groups": groups}
        asked = (
            ("GET", "/api/hello"),
            ("POST", "/api/logs/"),
            ("POST", "/api/variables/"),
            ("DELETE", "/api/admin/storage"),
        )
        return [ask(kernel, method, path, headers, client=PROXY, body=b"!")[0] for method, path in asked]

    viewer, runner, editor = [200, 403, 403, 403], [200, 422, 403, 403], [200, 422, 422, 403]
    assert may(named, None) == may(named, "staff") == viewer
    assert may(named, "runner") == may(named, "viewer, runner,staff") == runner
    assert may(named, "admin")[3] not in (401, 403)
    assert may(mapped, "dev,ops") == editor
    assert may(mapped, "dev") == runner
    assert may(mapped, "admin") == may(mapped, None) == [401] * 4
    twice = ask(
        named, "GET", "/api/hello", {**ADA, "x-groups": "viewer"}, client=PROXY, repeated=(("X-Groups", "admin"),)
    )
    assert twice[0] == 401, "one of two may be the client's own"


def test_pages_of_other_origins(make_kernel: MakeKernel) -> None:
    """A browser sends the proxy's cookie with them, too: what they ask for is nobody's request."""
    kernel = make_kernel(settings={**SETTINGS, "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "*,https://ours.example.com"})
    for own in (
        {"origin": "http://testserver"},
        {"origin": "https://ours.example.com"},
        {"sec-fetch-site": "same-origin"},
        {"origin": "https://public.example.com", "x-forwarded-host": "public.example.com"},
    ):
        assert me(kernel, {**ADA, **own}), own
        assert (
            talk(kernel, "/api/events/out", auth(None), client=PROXY, **headers_of({"host": "testserver", **own}))[1]
            == SUCCESS
        )
    for other in (
        {"origin": "https://evil.example.com"},
        {"origin": "null"},
        {"origin": "http://testserver.evil.example.com"},
        {"origin": "http://["},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
    ):
        assert not me(kernel, {**ADA, **other}), other
        assert talk(kernel, "/api/events/out", auth(None), client=PROXY, **headers_of(other))[1][0] == "close"


def headers_of(more: dict[str, str]) -> dict[str, Any]:
    """The same, as keyword arguments, with the user."""
    return {name.replace("-", "_"): value for name, value in {**ADA, **more}.items()}


def test_beside_other_ways(make_kernel: MakeKernel) -> None:
    """Workers come with a secret; the interface asks those for one whom no proxy has asked."""
    kernel = make_kernel(settings={**SETTINGS, "PREFECT_SERVER_API_AUTH_STRING": "a:b"})
    assert me(kernel, {"authorization": basic("a:b")}, STRANGER)
    for headers, client, way in ((ADA, PROXY, None), (ADA, STRANGER, "BASIC"), ({}, PROXY, "BASIC")):
        assert json.loads(ask(kernel, "GET", "/ui-settings", headers, client=client)[2])["auth"] == way
    alone = make_kernel(settings=SETTINGS)
    assert json.loads(ask(alone, "GET", "/ui-settings", client=STRANGER)[2])["auth"] is None


def test_networks_must_be_said(make_kernel: MakeKernel) -> None:
    """Or anybody could name themselves."""
    with pytest.raises(SettingsError, match="PREFECT_KERNEL_TRUSTED_HEADER_NETWORKS"):
        make_kernel(settings={"PREFECT_KERNEL_TRUSTED_HEADER_USER": "X-Forwarded-User"})


@pytest.mark.parametrize("setting", ["USER", "ROLE"])
@pytest.mark.parametrize("name", ["X User", "X-User:", "X-Üser"])
def test_names_that_no_header_has(make_kernel: MakeKernel, setting: str, name: str) -> None:
    """Nobody would be known by them, so the server says so at its start."""
    with pytest.raises(SettingsError, match=f"PREFECT_KERNEL_TRUSTED_HEADER_{setting} = .* is no name of a header"):
        make_kernel(settings={**SETTINGS, f"PREFECT_KERNEL_TRUSTED_HEADER_{setting}": name})
