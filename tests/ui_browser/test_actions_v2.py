"""What people do with the second version of the interface; the API says afterwards what has come of it."""

from __future__ import annotations

from typing import Any

import pytest

from .browser import Walker
from .conftest import Site
from .support import OWN_MISTAKES, confirm, menu, pick, run_made, until, write

pytestmark = [pytest.mark.reference, pytest.mark.timeout(600, func_only=True)]


@pytest.fixture(autouse=True)
def forgiving(walk: Walker) -> None:
    """What the interface does wrong by itself is no concern of these tests."""
    walk.forgive(*OWN_MISTAKES)


def deployment(walk: Walker, site: Site, name: str, page: str = "") -> str:
    """Open the page of a deployment; its id."""
    id_ = site.ids[f"deployment_{name}"]
    walk.go(f"/v2/deployments/deployment/{id_}{page}")
    return id_


def quick_run(walk: Walker, site: Site, name: str) -> str:
    """Start a run of a deployment from its page and go to it; its id."""
    id_ = deployment(walk, site, name)
    walk.page.get_by_role("button", name="Run").click()
    quick = walk.page.get_by_role("menuitem", name="Quick run")
    run = run_made(site, id_, lambda: walk.click(quick))
    walk.go(f"/v2/runs/flow-run/{run}")
    return run


def state(site: Site, run: str) -> str:
    """The name of a flow run's state."""
    return str(site.get(f"/flow_runs/{run}")["state"]["name"])


def test_a_quick_run_is_run_by_the_worker(walk: Walker, site: Site) -> None:
    """A run is made, the worker runs it, its page follows, and has the logs."""
    run = quick_run(walk, site, "hello")
    until(lambda: state(site, run) == "Completed")
    walk.page.get_by_text("Completed").first.wait_for()
    walk.go(f"/v2/runs/flow-run/{run}")
    walk.page.get_by_text("hello deployment").first.wait_for()
    walk.shot("v2-quick-run")


def test_a_custom_run_has_its_own_parameters(walk: Walker, site: Site) -> None:
    """Parameters of the form are those of the run; the schema refuses what is none."""
    deployment(walk, site, "hello", "/run")
    walk.page.get_by_label("Run Name").fill("made-to-measure")
    walk.page.get_by_label("name (Optional)", exact=True).fill("custom")
    walk.page.get_by_label("count (Optional)", exact=True).fill("3")
    walk.page.get_by_label("loud (Optional)", exact=True).click()
    walk.click("Submit")
    [run] = until(lambda: site.post("/flow_runs/filter", {"flow_runs": {"name": {"any_": ["made-to-measure"]}}}))
    assert run["parameters"] == {"name": "custom", "count": 3, "loud": True}
    until(lambda: state(site, run["id"]) == "Completed")


def test_a_run_is_cancelled(walk: Walker, site: Site) -> None:
    """Cancelling from the page ends the process that the worker started."""
    run = quick_run(walk, site, "waits")
    until(lambda: state(site, run) == "Running")
    walk.go(f"/v2/runs/flow-run/{run}")
    menu(walk, "Cancel")
    walk.shot("v2-cancel")
    confirm(walk, "Cancel Flow Run")
    until(lambda: state(site, run) == "Cancelled")


def test_a_paused_run_is_resumed_with_input(walk: Walker, site: Site) -> None:
    """The form asks for what the run waits for, and the run goes on with it."""
    walk.forgive(r"/input/paused-\d-description answered 404")  # a run need not have a description
    run = quick_run(walk, site, "approval")
    until(lambda: state(site, run) == "Paused")
    walk.go(f"/v2/runs/flow-run/{run}")
    menu(walk, "Resume")
    dialog = walk.page.locator("[role=dialog], [role=alertdialog]").last
    dialog.get_by_role("switch").first.click()
    walk.shot("v2-resume")
    confirm(walk, "Resume", "Resume Flow Run", "Submit")
    until(lambda: state(site, run) == "Completed")


def test_a_run_is_deleted(walk: Walker, site: Site) -> None:
    """A deleted run is gone."""
    run = site.ids["cancelled-run"]
    walk.go(f"/v2/runs/flow-run/{run}")
    menu(walk, "Delete")
    confirm(walk, "Delete")
    until(lambda: site.api.get(f"/flow_runs/{run}").status_code == 404)


def schedules(site: Site, id_: str) -> list[dict[str, Any]]:
    """The schedules of a deployment."""
    return list(site.get(f"/deployments/{id_}")["schedules"])


def choose(walk: Walker, schedule: str, item: str) -> None:
    """Choose from the menu of a schedule."""
    switch = walk.page.get_by_role("switch", name=f"toggle {schedule}")
    switch.locator("xpath=following::button[1]").click()
    walk.click(walk.page.get_by_role("menuitem", name=item, exact=True))


def test_schedules(walk: Walker, site: Site) -> None:
    """Schedules are switched off and on, made, changed and deleted; the runs follow."""
    id_ = deployment(walk, site, "hello")
    switch = walk.page.get_by_role("switch", name="toggle Every 6 hours")
    walk.click(switch)
    until(lambda: [one["active"] for one in schedules(site, id_)].count(False) == 1)
    walk.click(switch)
    until(lambda: all(one["active"] for one in schedules(site, id_)))

    walk.click("Schedule")
    walk.page.get_by_role("textbox", name="Value").fill("90")
    confirm(walk, "Save")
    until(lambda: [one for one in schedules(site, id_) if one["schedule"].get("interval") == 5400.0])
    walk.click("Schedule")
    walk.click(walk.page.get_by_role("tab", name="Cron"))
    walk.page.get_by_role("textbox", name="Value").fill("15 3 * * *")
    confirm(walk, "Save")
    until(lambda: [one for one in schedules(site, id_) if one["schedule"].get("cron") == "15 3 * * *"])
    walk.shot("v2-schedules")

    choose(walk, "At 03:15 AM", "Edit")
    walk.page.get_by_role("textbox", name="Value").fill("45 4 * * *")
    confirm(walk, "Save")
    until(lambda: [one for one in schedules(site, id_) if one["schedule"].get("cron") == "45 4 * * *"])
    choose(walk, "At 04:45 AM", "Delete")
    confirm(walk, "Delete")
    until(lambda: len(schedules(site, id_)) == 4)


def test_a_deployment_is_edited_copied_and_deleted(walk: Walker, site: Site) -> None:
    """Changes of the form are kept, a copy is a deployment of its own."""
    id_ = deployment(walk, site, "hello", "/edit")
    walk.page.get_by_label("count (Optional)", exact=True).fill("4")
    walk.click("Save")
    until(lambda: site.get(f"/deployments/{id_}")["parameters"].get("count") == 4)
    deployment(walk, site, "hello", "/duplicate")
    walk.page.get_by_label("Name", exact=True).fill("greeter-copy")
    walk.click("Save")
    copy = until(lambda: site.api.get("/deployments/name/hello/greeter-copy").json().get("id"))
    assert copy != id_
    walk.go(f"/v2/deployments/deployment/{copy}")
    walk.forgive(rf"GET http://\S+/deployments/{copy} answered 404")  # the page is still there for a moment
    menu(walk, "Delete")
    confirm(walk, "Delete")
    until(lambda: site.api.get(f"/deployments/{copy}").status_code == 404)


def test_variables(walk: Walker, site: Site) -> None:
    """A variable is made, changed and deleted."""
    walk.go("/v2/variables")
    walk.click("Add variable")
    dialog = walk.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("from_the_page")
    write(walk, dialog.locator(".cm-content"), '{"a": [1, 2]}')
    dialog.get_by_placeholder("Enter tags").fill("one")
    walk.page.keyboard.press("Enter")
    confirm(walk, "Create")
    made = until(lambda: site.api.get("/variables/name/from_the_page").json())
    assert (made["value"], made["tags"]) == ({"a": [1, 2]}, ["one"])
    menu(walk, "Edit", walk.page.get_by_role("row", name="from_the_page"))
    write(walk, walk.page.get_by_role("dialog").locator(".cm-content"), '"changed"')
    confirm(walk, "Save", "Update")
    until(lambda: site.get("/variables/name/from_the_page")["value"] == "changed")
    menu(walk, "Delete", walk.page.get_by_role("row", name="from_the_page"))
    if walk.page.locator("[role=dialog], [role=alertdialog]").count():
        confirm(walk, "Delete")
    until(lambda: site.api.get("/variables/name/from_the_page").status_code == 404)


def document(site: Site, kind: str, name: str) -> Any:
    """A block by name, with its secrets; None when there is none."""
    reply = site.api.get(f"/block_types/slug/{kind}/block_documents/name/{name}", params={"include_secrets": "true"})
    return reply.json() if reply.status_code == 200 else None


def test_blocks(walk: Walker, site: Site) -> None:
    """A secret and a block that holds another are made, changed and deleted."""
    walk.forgive(r"block_documents/name/page-\w+ answered 404")  # is the name free?
    walk.go("/v2/blocks/catalog/secret/create")
    walk.page.get_by_label("Name", exact=True).fill("page-secret")
    walk.page.locator("input[type=password]").fill("first")
    walk.click("Save")
    until(lambda: document(site, "secret", "page-secret"))
    assert document(site, "secret", "page-secret")["data"] == {"value": "first"}

    walk.go("/v2/blocks/catalog/team-warehouse/create")
    walk.page.get_by_label("Name", exact=True).fill("page-warehouse")
    walk.page.get_by_role("button", name="Select a block").click()
    pick(walk, walk.page.get_by_role("option", name="main-database"))
    walk.page.get_by_label("Schema Name (Optional)").fill("bronze")
    walk.click("Save")
    made = until(lambda: document(site, "team-warehouse", "page-warehouse"))
    assert made["data"]["schema_name"] == "bronze"
    assert made["data"]["database"]["password"] == "hunter2"
    assert made["block_document_references"]["database"]["block_document"]["name"] == "main-database"
    walk.shot("v2-block-made")

    secret = document(site, "secret", "page-secret")["id"]
    walk.go(f"/v2/blocks/block/{secret}/edit")
    walk.page.locator("input[type=password]").fill("second")
    walk.click("Save")
    until(lambda: document(site, "secret", "page-secret")["data"] == {"value": "second"})
    for kind, name in (("secret", "page-secret"), ("team-warehouse", "page-warehouse")):
        walk.go(f"/v2/blocks/block/{document(site, kind, name)['id']}")
        menu(walk, "Delete")
        confirm(walk, "Delete")
        until(lambda kind=kind, name=name: document(site, kind, name) is None)  # type: ignore[misc]


def test_concurrency_limits(walk: Walker, site: Site) -> None:
    """Global and tag limits are made, changed, reset and deleted."""
    walk.go("/v2/concurrency-limits")
    walk.click("add global concurrency limit")
    dialog = walk.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("page-limit")
    dialog.get_by_label("Concurrency Limit").fill("7")
    confirm(walk, "Save")
    until(lambda: site.api.get("/v2/concurrency_limits/page-limit").json().get("limit") == 7)
    menu(walk, "Edit", walk.page.get_by_role("row", name="page-limit"))
    walk.page.get_by_role("dialog").get_by_label("Concurrency Limit").fill("9")
    confirm(walk, "Save", "Update")
    until(lambda: site.get("/v2/concurrency_limits/page-limit")["limit"] == 9)
    walk.click(walk.page.get_by_role("row", name="page-limit").get_by_role("switch"))
    until(lambda: site.get("/v2/concurrency_limits/page-limit")["active"] is False)
    menu(walk, "Delete", walk.page.get_by_role("row", name="page-limit"))
    confirm(walk, "Delete")
    until(lambda: site.api.get("/v2/concurrency_limits/page-limit").status_code == 404)

    walk.click(walk.page.get_by_role("tab", name="Task Run"))
    walk.click("add task run concurrency limit")
    dialog = walk.page.get_by_role("dialog")
    dialog.get_by_label("Tag").fill("page-tag")
    dialog.get_by_label("Concurrency Limit").fill("2")
    confirm(walk, "Add")
    until(lambda: site.api.get("/concurrency_limits/tag/page-tag").json().get("concurrency_limit") == 2)
    menu(walk, "Reset", walk.page.get_by_role("row", name="page-tag"))
    confirm(walk, "Reset")
    menu(walk, "Delete", walk.page.get_by_role("row", name="page-tag"))
    confirm(walk, "Delete")
    until(lambda: site.api.get("/concurrency_limits/tag/page-tag").status_code == 404)


def test_work_pools_and_queues(walk: Walker, site: Site) -> None:
    """A pool is made with a form of its type, gets a queue, is paused and deleted."""
    walk.go("/v2/work-pools/create")
    walk.page.get_by_role("radio", name="Process").click()
    walk.click("Next")
    walk.page.get_by_label("Name", exact=True).fill("page-pool")
    walk.page.get_by_label("Flow Run Concurrency (Optional)").fill("3")
    walk.click("Next")
    walk.click("Create Work Pool")
    until(lambda: site.api.get("/work_pools/page-pool").status_code == 200)
    pool = site.get("/work_pools/page-pool")
    assert (pool["type"], pool["concurrency_limit"]) == ("process", 3)
    walk.go("/v2/work-pools/work-pool/page-pool/queue/create")
    walk.page.get_by_label("Name", exact=True).fill("page-queue")
    walk.page.get_by_label("Priority").fill("1")
    walk.click("Create")
    until(lambda: site.api.get("/work_pools/page-pool/queues/page-queue").json().get("priority") == 1)
    walk.go("/v2/work-pools/work-pool/page-pool")
    walk.click(walk.page.get_by_role("switch").first)
    until(lambda: site.get("/work_pools/page-pool")["is_paused"] is True)
    walk.forgive(r"/work_pools/page-pool(/workers/filter)? answered 404")  # the page is still there for a moment
    menu(walk, "Delete")
    dialog = walk.page.locator("[role=dialog], [role=alertdialog]").last
    if dialog.get_by_role("textbox").count():  # the name has to be typed
        dialog.get_by_role("textbox").fill("page-pool")
    confirm(walk, "Delete")
    until(lambda: site.api.get("/work_pools/page-pool").status_code == 404)


def test_an_automation_that_runs_a_deployment_when_a_flow_fails(walk: Walker, site: Site) -> None:
    """Made with the form, it starts the deployment once a run has failed; it is switched off and deleted."""
    walk.go("/v2/automations/create")
    walk.page.get_by_role("combobox").click()
    pick(walk, walk.page.get_by_role("option", name="Flow run state"))
    walk.page.get_by_role("button", name="Any state").click()
    walk.click(walk.page.get_by_role("option", name="Failed").first)
    walk.page.keyboard.press("Escape")
    walk.click("Next")
    walk.page.get_by_role("combobox", name="select action").click()
    pick(walk, walk.page.get_by_role("option", name="Run a deployment"))
    walk.page.get_by_role("button", name="Select deployment").or_(
        walk.page.get_by_role("button", name="Inferred Deployment")
    ).first.click()
    pick(walk, walk.page.get_by_role("option", name="greeter").first)
    walk.shot("v2-automation-action")
    walk.click("Next")
    walk.page.get_by_label("Automation Name").fill("from the page")
    walk.click("Save")
    [made] = until(lambda: site.post("/automations/filter", {"automations": {"name": {"any_": ["from the page"]}}}))
    assert made["trigger"]["posture"] == "Reactive"
    assert made["actions"][0]["type"] == "run-deployment"
    assert made["actions"][0]["deployment_id"] == site.ids["deployment_hello"]

    quick_run(walk, site, "broken")
    made_by = {
        "flow_runs": {"deployment_id": {"any_": [site.ids["deployment_hello"]]}},
        "sort": "EXPECTED_START_TIME_DESC",
    }

    def ran() -> bool:
        runs = site.post("/flow_runs/filter", made_by)
        return any((run["created_by"] or {}).get("display_value") == "from the page" for run in runs)

    until(ran)
    walk.go(f"/v2/automations/automation/{made['id']}")
    walk.click(walk.page.get_by_role("switch").first)
    until(lambda: site.get(f"/automations/{made['id']}")["enabled"] is False)
    menu(walk, "Delete")
    confirm(walk, "Delete")
    until(lambda: site.api.get(f"/automations/{made['id']}").status_code == 404)


def test_the_event_feed(walk: Walker, site: Site) -> None:
    """The feed shows what has happened, and an event opens."""
    walk.go("/v2/events")
    walk.page.get_by_text("prefect.flow-run.").first.wait_for()
    [event] = site.post("/events/filter", {"filter": {"event": {"name": ["shop.order.refused"]}}, "limit": 1})["events"]
    walk.go(f"/v2/events/event/{event['occurred'][:10]}/{event['id']}")
    walk.page.get_by_text("shop.order.refused").first.wait_for()
    walk.click(walk.page.get_by_role("tab", name="Raw"))
    walk.page.get_by_text("shop.size").first.wait_for()
