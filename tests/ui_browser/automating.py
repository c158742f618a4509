"""Automations made in the interface, by kind, with what makes them fire: once, and the event feed shows it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from playwright.sync_api import Locator
from playwright.sync_api import TimeoutError as NotInTime

from .browser import Walker
from .conftest import Site
from .support import pick, until, write

PROACTIVE_SECONDS = 10.0
"""The least that is allowed."""


# ------------------------------------------------------------------------------- what notifications are sent to
@contextmanager
def listening() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A place for webhooks: its URL, and the bodies that have come."""
    come: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            come.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: what has come is looked at."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", come
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def notification_block(site: Site, url: str) -> str:
    """Make a block that sends notifications to a URL; its name."""
    [schema] = site.post(
        "/block_schemas/filter",
        {
            "block_schemas": {"block_type_id": {"any_": [site.get("/block_types/slug/custom-webhook")["id"]]}},
            "limit": 1,
        },
    )
    name = f"hook-{uuid4().hex[:8]}"
    data = {"name": name, "url": url, "json_data": {"subject": "{{subject}}", "body": "{{body}}"}}
    ids = {"block_type_id": schema["block_type_id"], "block_schema_id": schema["id"]}
    site.post("/block_documents/", {"name": name, "data": data, **ids})
    return name


# ------------------------------------------------------------------------------- the forms
class Form:
    """The steps of making an automation, in one of the two versions."""

    def __init__(self, walk: Walker, version: str) -> None:
        self.walk, self.page, self.version = walk, walk.page, version
        self.base = "/v2" if version == "v2" else ""

    def choose(self, select: Locator, option: str) -> None:
        """Choose from a list that opens."""
        if self.version == "v2":
            select.click()
            pick(self.walk, self.page.get_by_role("option").filter(has_text=option).last)
            return
        select.focus()
        self.page.keyboard.press("ArrowDown")
        found = self.page.locator(".p-select-option, .p-select-option__text, [class*=p-select-option]")
        self.walk.click(found.filter(has_text=re.compile(rf"^\s*{option}")).last)

    def trigger(self, trigger: dict[str, Any]) -> None:
        """Give a trigger as JSON, and go on."""
        self.walk.go(f"{self.base}/automations/create")
        if self.version == "v2":
            self.choose(self.page.get_by_role("combobox"), "Custom")
        else:
            self.choose(self.page.locator("button", has_text="Select template").last, "Custom")
        self.walk.click(self.page.get_by_text("JSON", exact=True))
        editor = ".cm-content" if self.version == "v2" else ".p-code-input__textarea"
        if self.version == "v2":
            write(self.walk, self.page.locator(editor).first, json.dumps(trigger))
        else:
            self.page.locator(editor).first.click()
            self.page.keyboard.press("ControlOrMeta+a")
            self.page.keyboard.insert_text(json.dumps(trigger))
        self.page.wait_for_timeout(1000)  # the form takes a moment to hear of it
        self.walk.click("Next")

    def action(self, kind: str, placeholder: str, chosen: str) -> None:
        """Choose an action and what it is about, and go on."""
        if self.version == "v2":
            self.choose(self.page.get_by_role("combobox", name="select action"), kind)
            self.choose(self.page.get_by_role("button", name=re.compile(placeholder, re.IGNORECASE)).first, chosen)
        else:
            self.choose(self.page.locator(".p-select-button__control").last, kind)
            self.choose(self.page.locator(".p-select-button__control, .p-combobox__control").last, chosen)
        if kind == "Send a notification" and self.version == "v2":  # the first version proposes a template
            self.page.get_by_label("Subject").fill("{{ automation.name }}")
            self.page.get_by_label("Body").fill("Told by {{ automation.name }}")
        self.walk.shot(f"{self.version}-automation-{kind.replace(' ', '-').lower()}")
        self.walk.click("Next")

    def save(self, name: str) -> None:
        """Name it, and save it."""
        self.page.get_by_label("Automation Name").or_(self.page.get_by_label("Name", exact=True)).first.fill(name)
        self.walk.click("Save")


def made(site: Site, name: str) -> dict[str, Any]:
    """The automation with a name, once there is one."""
    [found] = until(lambda: site.post("/automations/filter", {"automations": {"name": {"any_": [name]}}}))
    return dict(found)


def emit(site: Site, name: str) -> None:
    """Something happens outside."""
    event = {"event": name, "resource": {"prefect.resource.id": "shop.till.1"}, "id": str(uuid4())}
    site.post_nothing("/events", [{**event, "occurred": datetime.now(UTC).isoformat()}])


def fired_once(walk: Walker, site: Site, version: str, automation: dict[str, Any]) -> None:
    """It has fired, and only once; the event feed shows it, and the page of the automation opens."""
    path = f"/kernel/automations/{automation['id']}/firings"
    until(lambda: [one for one in site.get(path) if all(act["status"] == "done" for act in one["actions"])])
    assert len(site.get(path)) == 1
    base = "/v2" if version == "v2" else ""
    resource = f"prefect.automation.{automation['id']}"
    about = {"filter": {"resource": {"id": [resource]}, "event": {"name": ["prefect.automation.action.executed"]}}}
    until(lambda: site.post("/events/filter", about)["total"] == 1)
    feed = f"{base}/events?resource=" + quote(json.dumps([resource]) if version == "v2" else resource)
    told = re.compile("prefect.automation.action.executed|Automation action executed")

    def shown() -> bool:
        # The second version's feed ends with the last full minute, so it is opened until this one is over.
        walk.go(feed)
        try:
            walk.page.get_by_text(told).first.wait_for(timeout=20_000)
        except NotInTime:
            return False
        return True

    # Only what this automation has told: the feed shows the latest fifty, and others may come between.
    until(shown, 240)
    walk.shot(f"{version}-feed-{automation['name']}")
    walk.go(f"{base}/automations/automation/{automation['id']}")
    walk.page.get_by_text(automation["name"]).first.wait_for()
    walk.shot(f"{version}-automation-{automation['name']}")
    site.api.delete(f"/automations/{automation['id']}").raise_for_status()


# ------------------------------------------------------------------------------- the kinds
def react(walk: Walker, site: Site, version: str) -> None:
    """A flow fails, and a deployment runs."""
    form, name = Form(walk, version), f"{version}-reactive-{uuid4().hex[:4]}"
    trigger = {
        "type": "event",
        "posture": "Reactive",
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": {"prefect.resource.role": "flow", "prefect.resource.name": "broken"},
        "expect": ["prefect.flow-run.Failed"],
        "for_each": ["prefect.resource.id"],
        "threshold": 1,
        "within": 0,
    }
    form.trigger(trigger)
    form.action("Run a deployment", "Select deployment|Inferred", "greeter")
    form.save(name)
    automation = made(site, name)
    flow = site.post("/flows/", {"name": "broken"})["id"]
    run = site.post("/flow_runs/", {"flow_id": flow, "state": {"type": "RUNNING"}})["id"]
    site.post(f"/flow_runs/{run}/set_state", {"state": {"type": "FAILED"}, "force": True})
    ours = {"flow_runs": {"deployment_id": {"any_": [site.ids["deployment_hello"]]}}, "limit": 200}

    def ran() -> list[Any]:
        return [
            one
            for one in site.post("/flow_runs/filter", ours)
            if (one["created_by"] or {}).get("display_value") == name
        ]

    until(ran)
    fired_once(walk, site, version, automation)
    assert len(ran()) == 1


def miss(walk: Walker, site: Site, version: str, seconds: float = PROACTIVE_SECONDS) -> None:
    """Nothing happens for a while, and somebody is told."""
    form, name = Form(walk, version), f"{version}-proactive-{uuid4().hex[:4]}"
    with listening() as (url, come):
        block = notification_block(site, url)
        trigger = {
            "type": "event",
            "posture": "Proactive",
            "after": [f"shop.opened.{name}"],
            "expect": [f"shop.sold.{name}"],
            "for_each": ["prefect.resource.id"],
            "threshold": 1,
            "within": seconds,
        }
        form.trigger(trigger)
        form.action("Send a notification", "Select notification block", block)
        form.save(name)
        automation = made(site, name)
        assert automation["trigger"]["posture"] == "Proactive"
        emit(site, f"shop.opened.{name}")
        until(lambda: come)
        fired_once(walk, site, version, automation)
        assert len(come) == 1
        assert name in come[0]["subject"]
        assert name in come[0]["body"]


def join(walk: Walker, site: Site, version: str) -> None:
    """Two things have happened, in whatever order, and somebody is told."""
    form, name = Form(walk, version), f"{version}-compound-{uuid4().hex[:4]}"

    def part(what: str) -> dict[str, Any]:
        return {"type": "event", "posture": "Reactive", "expect": [f"shop.{what}.{name}"], "threshold": 1, "within": 0}

    with listening() as (url, come):
        block = notification_block(site, url)
        parts = [part("paid"), part("packed")]
        form.trigger({"type": "compound", "require": "all", "within": 600, "triggers": parts})
        form.action("Send a notification", "Select notification block", block)
        form.save(name)
        automation = made(site, name)
        assert automation["trigger"]["type"] == "compound"
        emit(site, f"shop.packed.{name}")
        emit(site, f"shop.packed.{name}")
        emit(site, f"shop.paid.{name}")
        until(lambda: come)
        fired_once(walk, site, version, automation)
        assert len(come) == 1
