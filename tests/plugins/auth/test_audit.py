"""Who has changed what."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from prefect_kernel import errors, hookimpl, web
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.access import commands
from prefect_kernel_plugins.audit import recording, retention
from prefect_kernel_plugins.audit.retention import AuditRetention
from prefect_kernel_plugins.variables import queries
from tests.support.callers import ID, basic

ROOT = {"Authorization": basic("root:root")}


class Careless:
    """A plugin whose endpoints change things and then fail, or change them elsewhere, or by themselves."""

    def __init__(self) -> None:
        self.group = group = web.Group("careless", prefix="/careless")

        @group.post("/late", permission="edit")
        async def late(request: web.Request) -> web.Reply:
            kernel = request.kernel
            await kernel.storage.write(queries.delete, kernel, kernel.clock.now(), name="x")
            raise errors.Conflict("too late")

        @group.post("/twice", permission="edit")
        async def twice(request: web.Request) -> web.Reply:
            kernel = request.kernel
            for _ in range(2):
                await kernel.storage.write(queries.delete, kernel, kernel.clock.now(), name="x")
            return web.no_content()

        @group.post("/elsewhere", permission="edit")
        async def elsewhere(request: web.Request) -> web.Reply:
            return web.no_content()

    @hookimpl
    def kernel_routes(self, settings: Any) -> list[Any]:
        return [self.group]


@pytest.fixture
def audited(make_kernel: MakeKernel, prepared_url: str) -> KernelUnderTest:
    """A kernel that writes down what needs `edit`, on SQLite and on PostgreSQL."""
    return make_kernel(
        Careless(),
        storage=prepared_url,
        settings={
            "PREFECT_KERNEL_AUDIT": "edit",
            "PREFECT_KERNEL_API_KEYS": True,
            "PREFECT_SERVER_API_AUTH_STRING": "root:root",
        },
    )


def changes(kernel: KernelUnderTest, headers: dict[str, str] | None = None, **query: Any) -> list[dict[str, Any]]:
    """The log, the latest first."""
    answer = kernel.client.get("/kernel/audit", params=query, headers=ROOT if headers is None else headers)
    assert answer.status == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def test_changes(audited: KernelUnderTest) -> None:
    """Each is there once, with who has made it, from where, and what it was about; reading and running are not."""
    ask = audited.client.request
    made = ask("POST", "/variables/", json={"name": "x", "value": 1}, headers=ROOT).json()
    assert ask("PATCH", "/variables/name/x", json={"value": 2}, headers=ROOT).status == 204
    key = ask("POST", "/kernel/keys/", json={"name": "robot", "scope": "edit"}, headers=ROOT).json()["key"]
    robot = {"Authorization": f"Bearer {key}"}
    assert ask("DELETE", f"/variables/{made['id']}", headers=robot).status == 204
    assert ask("POST", "/variables/filter", json={}, headers=ROOT).status == 200
    assert ask("POST", "/flows/", json={"name": "f"}, headers=ROOT).status == 201
    deleted, created, patched, first = changes(audited)
    assert len({change["seq"] for change in (deleted, created, patched, first)}) == 4
    assert {**first, "seq": 0, "request_id": ""} == {
        "seq": 0, "request_id": "", "at": "2030-01-01T12:00:00Z", "actor": "basic", "way": "basic",
        "client": "127.0.0.1", "permission": "edit", "operation": "create_variable", "method": "POST",
        "path": "/api/variables/", "object": made["id"], "status": 201,
    }  # fmt: skip
    assert (patched["operation"], patched["object"], patched["status"]) == ("update_variable_by_name", "x", 204)
    assert (created["operation"], created["permission"], created["status"]) == ("create_key", "admin", 201)
    assert (deleted["actor"], deleted["way"], deleted["object"]) == ("robot", "api-keys", made["id"])
    assert key not in str(changes(audited))


def test_several_things_at_once(audited: KernelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which ones is there, for as many as an index can hold."""
    ask, most = audited.client.request, 50
    for kept in (most, 3):
        monkeypatch.setattr(recording, "MOST_IDS", kept)
        made = [ask("POST", "/flows/", json={"name": f"f{kept}-{n}"}, headers=ROOT).json()["id"] for n in range(most)]
        body = {"flows": {"id": {"any_": made}}}
        deleted = ask("POST", "/flows/bulk_delete", json=body, headers=ROOT).json()["deleted"]
        assert sorted(deleted) == sorted(made)
        row = changes(audited)[0]
        assert (row["operation"], row["status"]) == ("bulk_delete_flows", 200)
        assert row["object"].split(",") == deleted[:kept] + ["…"] * (kept < most)
    body = {"flow_runs": {"id": {"any_": [ID]}}}
    assert ask("POST", "/flow_runs/bulk_delete", json=body, headers=ROOT).json() == {"deleted": []}
    assert changes(audited)[0]["object"] is None


def test_what_was_refused(audited: KernelUnderTest) -> None:
    """What was rolled back has no row; what has looked and changed nothing says how it was answered."""
    ask = audited.client.request
    assert ask("POST", "/variables/", json={"name": "x", "value": 1}, headers=ROOT).status == 201
    assert ask("POST", "/variables/", json={"name": "x", "value": 1}, headers=ROOT).status == 409
    assert ask("POST", "/variables/", json={"name": "x"}, headers=ROOT).status == 422
    assert ask("POST", "/variables/", json={"name": "y", "value": 1}).status == 401
    assert len(changes(audited)) == 1
    assert ask("DELETE", f"/variables/{ID}", headers=ROOT).status == 404
    assert (changes(audited)[0]["object"], changes(audited)[0]["status"]) == (ID, 404)


def test_endpoints_of_plugins(audited: KernelUnderTest) -> None:
    """One row for a request, whatever it does, and when."""
    ask = audited.client.request
    for path, status in (("late", 409), ("twice", 204), ("elsewhere", 204)):
        before = len(changes(audited))
        assert ask("POST", f"/careless/{path}", headers=ROOT).status == status
        found = changes(audited)
        assert len(found) == before + 1
        assert (found[0]["operation"], found[0]["status"]) == (path, status)


def test_runs(make_kernel: MakeKernel, prepared_url: str) -> None:
    """With `run`, what runs and workers do is there, too; where nobody is asked who they are, they are anonymous."""
    kernel = make_kernel(storage=prepared_url, settings={"PREFECT_KERNEL_AUDIT": "run"})
    run = kernel.flow_run()
    states = {"state": {"type": "CANCELLED"}}
    assert kernel.client.post(f"/flow_runs/{run['id']}/set_state", json=states).status == 201
    found = changes(kernel, {})
    assert [one["operation"] for one in found] == ["set_flow_run_state", "create_flow_run", "create_flow"]
    assert [one["object"] for one in found] == [run["id"], run["id"], run["flow_id"]]
    assert {(one["actor"], one["way"], one["status"]) for one in found} == {("anonymous", "", 201)}


def test_filters_and_pages(audited: KernelUnderTest) -> None:
    """By who, what, which, how and when; the latest first, page by page."""
    ask = audited.client.request
    for number in range(5):
        assert ask("POST", "/variables/", json={"name": f"v{number}", "value": 1}, headers=ROOT).status == 201
        audited.clock.advance(seconds=60)
    assert ask("DELETE", "/variables/name/v0", headers=ROOT).status == 204
    every = changes(audited)
    assert len(every) == 6
    since, until = "2030-01-01T12:01:00Z", "2030-01-01T12:03:00Z"
    filters: list[tuple[dict[str, Any], int]] = [
        ({"actor": "basic"}, 6),
        ({"actor": "nobody"}, 0),
        ({"operation": "create_variable"}, 5),
        ({"method": "DELETE"}, 1),
        ({"object": "v0"}, 1),
        ({"since": until}, 3),
        ({"until": until}, 3),
        ({"since": since, "until": until, "method": "POST", "actor": "basic"}, 2),
    ]
    for query, count in filters:
        assert len(changes(audited, **query)) == count, query
    paged: list[Any] = []
    wanted = {"limit": "4"}
    while True:
        page = audited.client.get("/kernel/audit", params=wanted, headers=ROOT).json()
        paged += page["results"]
        if page["next"] is None:
            break
        wanted["before"] = str(page["next"])
    assert paged == every
    for wrong in ({"limit": "0"}, {"limit": "201"}, {"before": "-1"}, {"since": "soon"}, {"actor": "a\0b"}):
        assert audited.client.get("/kernel/audit", params=wrong, headers=ROOT).status == 422, wrong


def test_retention(audited: KernelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is older than its time is forgotten, in many small transactions."""
    monkeypatch.setattr(retention, "BATCH", 2)
    for number in range(5):
        body = {"name": f"v{number}", "value": 1}
        assert audited.client.post("/variables/", json=body, headers=ROOT).status == 201
    audited.clock.advance(seconds=366 * 86400)
    assert audited.client.delete("/variables/name/v0", headers=ROOT).status == 204
    audited.run(AuditRetention(audited.kernel).tick())
    assert [one["operation"] for one in changes(audited)] == ["delete_variable_by_name"]


def test_the_command_line(audited: KernelUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that are made beside the server are changes, too."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_KERNEL_NO_AUTOLOAD": "true",
        "PREFECT_KERNEL_AUDIT": "edit",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": audited.kernel.settings.database_url,
    }.items():
        monkeypatch.setenv(name, value)
    assert CliRunner().invoke(commands.keys, ["create", "ci"]).exit_code == 0
    (change,) = changes(audited)
    assert (change["way"], change["operation"], change["object"]) == ("command line", "create_key", "ci")
    assert change["actor"]


def test_off(make_kernel: MakeKernel) -> None:
    """Without the setting no endpoint and no storage is wrapped, and there is no such route."""
    kernel = make_kernel()
    assert type(kernel.kernel.storage).__module__.startswith("prefect_kernel_plugins.storage_")
    for group in kernel.kernel.groups:
        base = "" if group.root else kernel.kernel.api
        for endpoint in group.endpoints:
            found = kernel.kernel.dispatcher.endpoints.match(base + endpoint.path.replace(":uuid", ""))
            assert found is None or endpoint.method not in found[0] or found[0][endpoint.method] is endpoint
    assert kernel.client.get("/kernel/audit").status == 404
