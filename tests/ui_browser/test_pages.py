"""Every page of both versions opens, with all its tabs, shows what there is, and nothing fails meanwhile."""

from __future__ import annotations

import re

import pytest

from .browser import Walker
from .conftest import Site
from .support import OWN_MISTAKES

pytestmark = [pytest.mark.reference, pytest.mark.timeout(900, func_only=True)]

RUN, DEPLOYMENT, POOL = "/runs/flow-run/", "/deployments/deployment/", "/work-pools/work-pool/"
BLOCK, AUTOMATION = "/blocks/block/", "/automations/automation/"

PAGES = (
    # path, with ids of the seed in braces, and a text that the page shows
    ("/dashboard", "local-pool"),
    ("/runs", "scheduled-run"),
    (RUN + "{etl_run}", "nightly"),
    (RUN + "{broken_run}", "broken"),
    (RUN + "{running-run}", "running-run"),
    (RUN + "{scheduled-run}", "scheduled-run"),
    ("/runs/task-run/{task_run}", "Loading 5 numbers"),
    ("/flows", "approval"),
    ("/flows/flow/{etl_flow}", "etl"),
    ("/deployments", "in-a-container"),
    (DEPLOYMENT + "{deployment_hello}", "Every 6 hours"),
    (DEPLOYMENT + "{deployment_docker}", "in-a-container"),
    (DEPLOYMENT + "{deployment_hello}/edit", "Enforce|Validate|Parameters"),
    (DEPLOYMENT + "{deployment_hello}/duplicate", "Parameters"),
    (DEPLOYMENT + "{deployment_hello}/run", "Run Name"),
    ("/work-pools", "k8s-pool"),
    ("/work-pools/create", "Kubernetes"),
    (POOL + "local-pool", "Runs of type process"),
    (POOL + "docker-pool", "Runs of type docker"),
    (POOL + "k8s-pool/edit", "Base Job Template"),
    (POOL + "local-pool/queue/create", "Priority"),
    (POOL + "local-pool/queue/urgent", "urgent"),
    (POOL + "local-pool/queue/urgent/edit", "Priority"),
    ("/blocks", "main-database"),
    ("/blocks/catalog", "Azure Blob Storage"),
    ("/blocks/catalog/secret", "Secret"),
    ("/blocks/catalog/secret/create", "Value"),
    ("/blocks/catalog/team-warehouse/create", "Schema Name"),
    (BLOCK + "{warehouse}", "analytics"),
    (BLOCK + "{database}", "db.example"),
    (BLOCK + "{secret}/edit", "Value"),
    (BLOCK + "{warehouse}/edit", "Schema Name"),
    ("/variables", "eu-west-1"),
    ("/automations", "repair on failure"),
    ("/automations/create", "Trigger Template"),
    (AUTOMATION + "{automation_repair_on_failure}", "greeter"),
    (AUTOMATION + "{automation_cancel_what_hangs}", "stays in"),
    (AUTOMATION + "{automation_one_after_the_other}", "one after the other"),
    (AUTOMATION + "{automation_both_at_once}", "both at once"),
    (AUTOMATION + "{automation_repair_on_failure}/edit", "Trigger Template"),
    ("/concurrency-limits", "api-calls"),
    ("/concurrency-limits/concurrency-limit/{tag_limit}", "extract"),
    ("/events", "prefect\\.|shop\\."),
    ("/events/event/{event}", "shop.order"),
    ("/artifacts", "loaded-numbers"),
    ("/artifacts/key/report", "Created"),
    ("/artifacts/artifact/{markdown}", "Dashboard|Report"),
    ("/artifacts/artifact/{table}", "number"),
    ("/artifacts/artifact/{image}", "A chart"),
    ("/artifacts/artifact/{progress}", "How far"),
    ("/settings", "Server Settings"),
    ("/no-such-page", ""),
)


@pytest.fixture
def places(site: Site) -> dict[str, str]:
    """Ids for the paths."""
    event = site.post("/events/filter", {"filter": {"event": {"prefix": ["shop.order."]}}})["events"][0]
    artifacts = {one["type"]: one["id"] for one in site.post("/artifacts/filter")}
    return {**site.ids, **artifacts, "event": f"{event['occurred'][:10]}/{event['id']}"}


def test_every_page_and_tab(walk: Walker, site: Site, version: str, places: dict[str, str]) -> None:
    """As a person would look at them, one after the other."""
    walk.forgive(*OWN_MISTAKES)
    base = "/v2" if version == "v2" else ""
    walk.go(f"{base}/dashboard")
    missing = []
    for number, (path, text) in enumerate(PAGES):
        page = walk.go(base + path.format(**places))
        name = re.sub(r"\W+", "-", path).strip("-")
        shown = page.get_by_text(re.compile(text)).or_(page.locator(f'input[value="{text}"]')).first
        try:
            shown.wait_for(state="attached")
        except Exception as error:  # noqa: BLE001 - all that is missing is told at once
            missing.append(f"{path}: {text!r} does not appear: {str(error).splitlines()[0]}")
        walk.shot(f"{version}-{number:02}-{name}")
        tabs = page.locator(".p-tab:visible, [role=tab]:visible")
        for at in range(tabs.count()):
            walk.click(tabs.nth(at))
            walk.shot(f"{version}-{number:02}-{name}-{at}")
    assert not missing, "\n".join(missing)
