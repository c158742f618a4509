"""Every route and every WebSocket, asked by everybody: who is unknown gets in nowhere, others as far as their role."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.access import passwords
from tests.support.callers import ID, SUCCESS, auth, basic, talk

SECRET = "root:of all evil"
EVERYTHING = {
    "PREFECT_KERNEL_API_KEYS": True,
    "PREFECT_KERNEL_USERS": True,
    "PREFECT_SERVER_METRICS_ENABLED": True,
    "PREFECT_KERNEL_AUDIT": "run",
    "PREFECT_SERVER_API_AUTH_STRING": SECRET,
}
"""Settings with which there is every route that there can be, and every way to get in."""

OPEN = {("GET", "/api/health"), ("GET", "/api/ready"), ("POST", "/api/kernel/hooks/{slug}")}
"""Of these, a webhook asks for a secret of its own."""
RANKS = ["read", "run", "edit", "admin"]
ROLES = {"viewer": "read", "runner": "run", "editor": "edit", "admin": "admin"}
PASSWORD = "a long enough password"


@dataclass
class Somebody:
    """What somebody sends."""

    header: str | None
    token: str | None
    permission: str | None
    """What they may do; None when they are to be refused."""


@pytest.fixture
def kernel(make_kernel: MakeKernel, prepared_url: str, monkeypatch: pytest.MonkeyPatch) -> KernelUnderTest:
    """A kernel with every way to get in, on either database; so many passwords are checked that they must be cheap."""
    monkeypatch.setattr(passwords, "COST", 2)
    return make_kernel(storage=prepared_url, settings=EVERYTHING)


@pytest.fixture
def people(kernel: KernelUnderTest) -> dict[str, Somebody]:
    """Everybody."""
    root = {"Authorization": basic(SECRET)}

    def made(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = kernel.client.post(path, json=body, headers=root)
        assert answer.status == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def key(name: str, scope: str, **more: Any) -> str:
        token: str = made("/kernel/keys/", {"name": name, "scope": scope, **more})["key"]
        return token

    soon = kernel.clock.now() + timedelta(seconds=1)
    expired = key("expired", "admin", expires=soon.isoformat())
    revoked = key("revoked", "admin")
    assert kernel.client.delete("/kernel/keys/revoked", headers=root).status == 204
    kernel.clock.advance(seconds=2)
    found = {
        "none": Somebody(None, None, None),
        "wrong key": Somebody("Bearer pkk_" + "x" * 43, "pkk_" + "x" * 43, None),
        "wrong password": Somebody(basic("viewer:" + PASSWORD + "x"), "viewer:" + PASSWORD + "x", None),
        "unknown user": Somebody(basic("nobody:" + PASSWORD), "nobody:" + PASSWORD, None),
        "expired": Somebody(f"Bearer {expired}", expired, None),
        "revoked": Somebody(basic(f"any:{revoked}"), revoked, None),
        "disabled": Somebody(basic("disabled:" + PASSWORD), "disabled:" + PASSWORD, None),
        "auth string": Somebody(root["Authorization"], SECRET, "admin"),
    }
    made("/kernel/users/", {"name": "disabled", "password": PASSWORD, "role": "admin"})
    off = kernel.client.request("PATCH", "/kernel/users/disabled", json={"enabled": False}, headers=root)
    assert off.json()["enabled"] is False
    for role, permission in ROLES.items():
        made("/kernel/users/", {"name": role, "password": PASSWORD, "role": role})
        found[role] = Somebody(basic(f"{role}:{PASSWORD}"), f"{role}:{PASSWORD}", permission)
        token = key(permission, permission)
        found[f"key to {permission}"] = Somebody(f"Bearer {token}", token, permission)
    return found


def test_every_endpoint_declares_a_permission(kernel: KernelUnderTest) -> None:
    """None is left to a default that nobody has thought about, and only few are open."""
    for group in kernel.kernel.groups:
        base = "" if group.root else kernel.kernel.api
        for endpoint in group.endpoints:
            assert endpoint.declared, f"{endpoint.method} {endpoint.path} does not say which permission it needs"
            if endpoint.open_ and base:
                assert (endpoint.method, base + endpoint.path) in OPEN
            if endpoint.method in ("PUT", "PATCH", "DELETE"):
                assert endpoint.permission != "read", endpoint.path
        for socket in group.websockets:
            assert socket.declared, f"WebSocket {socket.path} does not say which permission it needs"


def test_every_route(kernel: KernelUnderTest, people: dict[str, Somebody]) -> None:
    """401 for who is not known, 403 for who may not, and neither for who may."""
    asked = 0
    for group in kernel.kernel.groups:
        for endpoint in group.endpoints:
            if group.root:
                continue
            path = re.sub(r"\{\w+:uuid\}", ID, kernel.kernel.api + endpoint.path)
            path = re.sub(r"\{\w+(:\w+)?\}", "x", path)
            for name, somebody in people.items():
                headers = {} if somebody.header is None else {"Authorization": somebody.header}
                answer = kernel.client.request(endpoint.method, path, headers=headers, absolute=True)
                what = f"{name}: {endpoint.method} {path} was answered {answer.status} {answer.text[:200]}"
                asked += 1
                if endpoint.open_:
                    assert answer.status in ((404,) if "{slug}" in endpoint.path else (200, 503)), what
                elif somebody.permission is None:
                    assert (answer.status, answer.json()) == (401, {"exception_message": "Unauthorized"}), what
                elif RANKS.index(somebody.permission) < RANKS.index(endpoint.permission):
                    assert answer.status == 403, what
                    assert f"needs the permission '{endpoint.permission}'" in answer.json()["detail"]
                else:
                    assert answer.status not in (401, 500), what
                    assert answer.status != 403 or "needs the permission" not in answer.text, what
    assert asked > 2500


def test_every_socket(kernel: KernelUnderTest, people: dict[str, Somebody]) -> None:
    """The same for the first message of each WebSocket."""
    sockets = [socket for group in kernel.kernel.groups for socket in group.websockets]
    assert len(sockets) == 5
    for socket in sockets:
        path = re.sub(r"\{\w+(:\w+)?\}", "x", kernel.kernel.api + socket.path)
        for name, somebody in people.items():
            told = talk(kernel, path, auth(somebody.token))
            if somebody.permission is None or RANKS.index(somebody.permission) < RANKS.index(socket.permission):
                assert told[1][0] == "close", (name, path, told)
            else:
                assert told[1] == SUCCESS, (name, path, told)
            assert talk(kernel, path, prefect=False)[0][0] == "close", "without the subprotocol nobody gets in"


def test_a_key_in_the_header_of_a_socket(kernel: KernelUnderTest, people: dict[str, Somebody]) -> None:
    """Clients that have a key and no auth string send no token to some sockets; a header of theirs counts."""
    header = people["key to read"].header
    assert header is not None
    assert talk(kernel, "/api/events/out", auth(None), authorization=header)[1] == SUCCESS
    assert talk(kernel, "/api/events/in", auth(None), authorization=header)[1][0] == "close"
    assert talk(kernel, "/api/events/out", auth("wrong"), authorization=header)[1][0] == "close"


def test_viewers_are_shown_no_secrets(kernel: KernelUnderTest, people: dict[str, Somebody]) -> None:
    """Who may only read may not have blocks decrypted."""
    places: list[tuple[str, str, Any]] = [
        ("GET", f"/block_documents/{ID}", None),
        ("POST", "/block_documents/filter", {"include_secrets": True}),
        ("GET", "/block_types/slug/secret/block_documents", None),
        ("GET", "/block_types/slug/secret/block_documents/name/x", None),
    ]
    for method, path, body in places:
        for name, status in (("viewer", 403), ("runner", None)):
            headers = {"Authorization": str(people[name].header)}
            query = {"include_secrets": "true"} if body is None else {}
            answer = kernel.client.request(method, path, json=body, headers=headers, params=query)
            assert (answer.status == 403) is (status == 403), (name, path, answer.text)
