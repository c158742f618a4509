"""API keys and users: making them, what they let in, and taking them away again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.access import commands, passwords, users
from prefect_kernel_plugins.access.keys import digest_of
from prefect_kernel_plugins.access.remembered import BELIEVED
from tests.support.callers import basic

ROOT = {"Authorization": basic("root:root")}
SETTINGS = {
    "PREFECT_KERNEL_API_KEYS": True,
    "PREFECT_KERNEL_USERS": True,
    "PREFECT_SERVER_API_AUTH_STRING": "root:root",
}


@pytest.fixture
def guarded(make_kernel: MakeKernel, prepared_url: str, monkeypatch: pytest.MonkeyPatch) -> KernelUnderTest:
    """A kernel with keys and users, on SQLite and on PostgreSQL; hashes of passwords are cheap."""
    monkeypatch.setattr(passwords, "COST", 2)
    return make_kernel(storage=prepared_url, settings=SETTINGS)


def make(kernel: KernelUnderTest, path: str, **body: Any) -> dict[str, Any]:
    """Make a key or a user."""
    answer = kernel.client.post(path, json=body, headers=ROOT)
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def me(kernel: KernelUnderTest, header: str) -> Any:
    """Who somebody is found to be; None when they are not known."""
    answer = kernel.client.get("/kernel/me", headers={"Authorization": header})
    assert answer.status in (200, 401), answer.text
    return answer.json() if answer.status == 200 else None


def test_a_key(guarded: KernelUnderTest) -> None:
    """It is shown once, kept as a hash, good in each form in which clients send it, and worthless once revoked."""
    made = make(guarded, "/kernel/keys/", name="ci", scope="run")
    key = made.pop("key")
    assert {**made, "id": "", "created": ""} == {
        "id": "", "created": "", "name": "ci", "hint": key[:8], "scope": "run", "expires": None, "created_by": "basic",
    }  # fmt: skip
    listed = guarded.client.get("/kernel/keys/", headers=ROOT)
    assert listed.json() == [made]
    assert key not in listed.text
    assert digest_of(key) not in listed.text
    known = {"name": "ci", "permission": "run", "way": "api-keys"}
    for header in (f"Bearer {key}", f"bearer {key}", basic(key), basic(f"anything:{key}"), basic(f":{key}")):
        assert me(guarded, header) == known, header
    for header in (
        f"Bearer {key}x",
        f"Bearer {key[:-1]}",
        f"Token {key}",
        key,
        basic(f"{key}:x"),
        f"Bearer {made['hint']}",
    ):
        assert me(guarded, header) is None, header
    assert guarded.client.delete("/kernel/keys/ci", headers=ROOT).status == 204
    assert me(guarded, f"Bearer {key}") is None
    assert guarded.client.delete("/kernel/keys/ci", headers=ROOT).status == 404


def test_a_key_ends(guarded: KernelUnderTest) -> None:
    """At its expiry, also when it was used just before."""
    key = make(guarded, "/kernel/keys/", name="short", expires="2030-01-01T12:00:02Z")["key"]
    assert me(guarded, f"Bearer {key}")["permission"] == "run"
    guarded.clock.advance(seconds=2)
    assert me(guarded, f"Bearer {key}") is None


def test_refused_keys_and_users(guarded: KernelUnderTest) -> None:
    """What cannot be made is said, and nothing is made."""
    wrong: list[tuple[str, dict[str, Any], int]] = [
        ("keys", {"name": "x", "expires": "2020-01-01T00:00:00Z"}, 422),
        ("keys", {"name": "x", "scope": "everything"}, 422),
        ("keys", {"name": ""}, 422),
        ("keys", {"name": "a b"}, 422),
        ("keys", {"name": "a\0b"}, 422),
        ("keys", {"name": "x" * 201}, 422),
        ("keys", {"name": "taken"}, 409),
        ("keys", {"name": "x", "digest": "0"}, 422),
        ("users", {"name": "x", "password": "short"}, 422),
        ("users", {"name": "x", "password": "p" * 1025}, 422),
        ("users", {"name": "a:b", "password": "long enough"}, 422),
        ("users", {"name": "x", "password": "long enough", "role": "king"}, 422),
        ("users", {"name": "taken", "password": "long enough"}, 409),
    ]
    make(guarded, "/kernel/keys/", name="taken")
    make(guarded, "/kernel/users/", name="taken", password="long enough")
    for what, body, status in wrong:
        answer = guarded.client.post(f"/kernel/{what}/", json=body, headers=ROOT)
        assert answer.status == status, (body, answer.text)
        assert str(body.get("password", "long enough")) not in answer.text or status == 422
    for what in ("keys", "users"):
        assert [one["name"] for one in guarded.client.get(f"/kernel/{what}/", headers=ROOT).json()] == ["taken"]
    assert guarded.client.get("/kernel/keys/", headers=ROOT, params={"limit": "201"}).status == 422
    assert guarded.client.get("/kernel/keys/", headers=ROOT, params={"offset": "1"}).json() == []


def test_a_user(guarded: KernelUnderTest) -> None:
    """A name, a password and a role; each change is in force with the next request."""
    password = "pÄss:word with a colon"
    make(guarded, "/kernel/users/", name="ada", password=password, role="editor")
    header = basic(f"ada:{password}")
    for _ in range(2):
        assert me(guarded, header) == {"name": "ada", "permission": "edit", "way": "users"}
    for wrong in ("ada:", "ada", f"Ada:{password}", f"ada:{password} ", "ada:wrong", f"bob:{password}", f":{password}"):
        assert me(guarded, basic(wrong)) is None, wrong
    assert me(guarded, header.replace("Basic", "Bearer")) is None

    def change(**changes: Any) -> Any:
        answer = guarded.client.request("PATCH", "/kernel/users/ada", json=changes, headers=ROOT)
        assert answer.status == 200, answer.text
        return answer.json()

    assert change(role="viewer")["role"] == "viewer"
    assert me(guarded, header)["permission"] == "read"
    assert change(password="another password")["role"] == "viewer"
    assert me(guarded, header) is None
    header = basic("ada:another password")
    assert me(guarded, header) is not None
    assert change(enabled=False)["enabled"] is False
    assert me(guarded, header) is None
    assert change(enabled=True)["enabled"] is True
    assert me(guarded, header) is not None
    shown = guarded.client.get("/kernel/users/", headers=ROOT)
    assert "scrypt" not in shown.text
    assert "password" not in shown.text
    assert guarded.client.delete("/kernel/users/ada", headers=ROOT).status == 204
    assert me(guarded, header) is None
    assert guarded.client.request("PATCH", "/kernel/users/ada", json={}, headers=ROOT).status == 404
    assert guarded.client.delete("/kernel/users/ada", headers=ROOT).status == 404


def test_passwords() -> None:
    """Salted, slow, and compared as a whole."""
    kept = passwords.hashed("correct horse")
    assert kept != passwords.hashed("correct horse")
    assert kept.startswith("scrypt$16384$8$5$")
    assert passwords.matches("correct horse", kept)
    assert not passwords.matches("correct hors", kept)


def test_guessing_is_slowed(guarded: KernelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """When too many passwords wait to be checked, further ones are told to come back; those that are known are not."""
    make(guarded, "/kernel/users/", name="ada", password="long enough")
    header = basic("ada:long enough")
    assert me(guarded, header) is not None
    monkeypatch.setattr(users, "MOST_WAITING", 0)
    answer = guarded.client.get("/hello", headers={"Authorization": basic("ada:guess")})
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert me(guarded, header) is not None


def test_off(make_kernel: MakeKernel) -> None:
    """Unless settings turn them on there is nothing of it, and nobody is asked who they are."""
    kernel = make_kernel()
    assert kernel.kernel.dispatcher.authentication is None
    assert kernel.client.get("/hello").status == 200
    for path in ("/kernel/keys/", "/kernel/users/", "/kernel/me"):
        assert kernel.client.get(path).status == 404


@pytest.mark.parametrize("way", ["PREFECT_KERNEL_API_KEYS", "PREFECT_KERNEL_USERS"])
def test_one_setting(make_kernel: MakeKernel, way: str) -> None:
    """One setting is enough, and the web interface then asks people for what lets them in."""
    kernel = make_kernel(settings={way: True})
    assert kernel.client.get("/hello").status == 401
    assert kernel.client.get("/health").status == 200
    assert kernel.client.get("/ui-settings", absolute=True).json()["auth"] == "BASIC"


def test_the_command_line(guarded: KernelUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and users are made, listed and taken away beside a running server, which knows of it."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_KERNEL_NO_AUTOLOAD", "true")
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", guarded.kernel.settings.database_url)

    def run(*arguments: str, given: str = "") -> Result:
        group = commands.keys if arguments[0] == "keys" else commands.users
        return CliRunner().invoke(group, arguments[1:], input=given)

    made = run("keys", "create", "ci", "--scope", "edit", "--expires", "2050-01-01")
    assert made.exit_code == 0, made.output
    key = made.stdout.strip()
    assert me(guarded, f"Bearer {key}") == {"name": "ci", "permission": "edit", "way": "api-keys"}
    assert "There is an API key named 'ci' already" in str(run("keys", "create", "ci").exception)
    for wrong in (["a b"], ["x", "--expires", "soon"], ["x", "--expires", "2020-01-01"], ["x", "--scope", "all"]):
        assert run("keys", "create", *wrong).exit_code == 2
    listed = run("keys", "list").stdout
    assert listed.splitlines()[1].split()[:3] == ["ci", "edit", key[:8] + "…"]
    assert key not in listed
    assert run("users", "create", "ada", "--password-stdin", given="short\n").exit_code == 2
    assert run("users", "create", "ada", "--password-stdin", given="long enough\n").exit_code == 0
    assert me(guarded, basic("ada:long enough"))["permission"] == "read"
    assert run("users", "list").stdout.splitlines()[1].split()[:3] == ["ada", "viewer", "yes"]
    assert run("users", "change", "ada", "--role", "admin", "--disable").stdout == "Changed ada: admin, disabled.\n"
    assert run("users", "change", "ada").exit_code == 2
    assert run("keys", "revoke", "ci").exit_code == 0
    assert me(guarded, f"Bearer {key}") is not None, "another process believes what it has read for some seconds"
    guarded.clock.advance(seconds=BELIEVED.total_seconds())
    assert me(guarded, f"Bearer {key}") is None
    assert me(guarded, basic("ada:long enough")) is None
    assert run("users", "delete", "ada").exit_code == 0
    assert "There is no user" in str(run("users", "delete", "ada").exception)
    assert "There is no API key" in str(run("keys", "revoke", "ci").exception)
