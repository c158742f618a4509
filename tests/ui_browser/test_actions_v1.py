"""What people do with the first version of the interface; the API says afterwards what has come of it."""

from __future__ import annotations

import pytest

from .browser import Walker
from .conftest import Site
from .support import OWN_MISTAKES, run_made, until

pytestmark = [pytest.mark.reference, pytest.mark.timeout(600, func_only=True)]


@pytest.fixture(autouse=True)
def forgiving(walk: Walker) -> None:
    """What the interface does wrong by itself is no concern of these tests."""
    walk.forgive(*OWN_MISTAKES)


def quick_run(walk: Walker, site: Site, name: str) -> str:
    """Start a run of a deployment from its page; its id."""
    deployment = site.ids[f"deployment_{name}"]
    walk.go(f"/deployments/deployment/{deployment}")
    walk.page.get_by_role("button", name="Run", exact=True).click()
    quick = walk.page.locator(".p-overflow-menu-item", has_text="Quick run")
    return run_made(site, deployment, lambda: walk.click(quick))


def state(site: Site, run: str) -> str:
    """The name of a flow run's state."""
    return str(site.get(f"/flow_runs/{run}")["state"]["name"])


def test_a_quick_run_is_run_by_the_worker(walk: Walker, site: Site) -> None:
    """A run is made, the worker runs it, and its page has the logs."""
    run = quick_run(walk, site, "hello")
    until(lambda: state(site, run) == "Completed")
    walk.go(f"/runs/flow-run/{run}")
    walk.page.get_by_text("hello deployment").first.wait_for()
    walk.shot("v1-quick-run")


def test_a_run_is_cancelled(walk: Walker, site: Site) -> None:
    """Cancelling from the page ends the process that the worker started."""
    run = quick_run(walk, site, "waits")
    until(lambda: state(site, run) == "Running")
    walk.go(f"/runs/flow-run/{run}")
    walk.click(walk.page.get_by_role("button", name="Cancel", exact=True))
    walk.shot("v1-cancel")
    walk.click(walk.page.get_by_role("button", name="Confirm", exact=True))
    until(lambda: state(site, run) == "Cancelled")


def test_a_schedule_is_switched_off_and_on(walk: Walker, site: Site) -> None:
    """The switch of a schedule is that schedule's."""
    id_ = site.ids["deployment_hello"]
    walk.go(f"/deployments/deployment/{id_}")

    def off() -> int:
        return sum(not one["active"] for one in site.get(f"/deployments/{id_}")["schedules"])

    switch = walk.page.get_by_role("switch").first
    walk.click(switch)
    until(lambda: off() == 1)
    walk.click(switch)
    until(lambda: off() == 0)


def test_a_variable_is_made(walk: Walker, site: Site) -> None:
    """Its value is JSON."""
    walk.forgive(r"/variables/name/from_the_old_page answered 404")  # is the name free?
    walk.go("/variables")
    walk.page.locator(".page-heading").get_by_role("button").first.click()
    dialog = walk.page.get_by_role("dialog")
    dialog.get_by_role("textbox").first.fill("from_the_old_page")
    dialog.get_by_role("textbox").nth(1).fill("[1, 2]")
    walk.click(dialog.get_by_role("button", name="Create", exact=True))
    until(lambda: site.api.get("/variables/name/from_the_old_page").json().get("value") == [1, 2])
