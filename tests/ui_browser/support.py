"""What the walks share: waiting for what the server says, and the parts of pages."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from playwright.sync_api import Locator, Page
from playwright.sync_api import TimeoutError as NotInTime

from .browser import Walker

if TYPE_CHECKING:
    from .conftest import Site

T = TypeVar("T")

# The interface's own mistakes, which it makes on Python Prefect's server, too.
OWN_MISTAKES = (
    # The second version looks for the icons of states at the root, where the first version is served.
    r"GET http://[^/]+/(\w+/)?(cancelled|completed|crashed|failed|paused|pending|running|scheduled|cancelling)\.svg",
    # The second version looks for its own icon at the root, once it leaves the page of a run.
    r"GET http://[^/]+/favicon-\d+x\d+\.png answered 404",
    # The first version asks for an icon before it knows the state.
    r"GET http://\S+/ico/undefined\.svg answered 404",
    # The second version asks for the task run of an artifact that has none.
    r'POST http://\S+/api/task_runs/filter answered 422 to \{"task_runs":\{"operator":"and_","id":\{"any_":\[""\]\}\}',
)


def until(found: Callable[[], T], seconds: float = 120) -> T:
    """What `found` answers, once it is neither nothing nor false."""
    end = time.monotonic() + seconds
    while not (got := found()):
        assert time.monotonic() < end, f"{found} answered {got!r} for {seconds:.0f} s"
        time.sleep(0.1)
    return got


def run_made(site: Site, deployment: str, act: Callable[[], None]) -> str:
    """Do what makes a run of a deployment; the run's id. The interface shows it for a few seconds only."""
    ours = {"deployments": {"id": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_DESC", "limit": 200}

    def runs() -> set[str]:
        return {run["id"] for run in site.post("/flow_runs/filter", ours)}

    before = runs()
    act()
    return until(lambda: runs() - before).pop()


def menu(walk: Walker, item: str, row: Locator | Page | None = None) -> None:
    """Choose from the menu of a row, or of the page."""
    (row or walk.page).get_by_role("button", name="Open menu").first.click()
    walk.click(walk.page.get_by_role("menuitem", name=item, exact=True))


def pick(walk: Walker, option: Locator) -> None:
    """Choose from the list that is open, which closes then.

    A long list may scroll beneath the pointer between finding the option and clicking it, which chooses nothing.
    """
    walk.click(option)
    try:
        option.wait_for(state="hidden", timeout=3000)
    except NotInTime:
        walk.click(option)
        option.wait_for(state="hidden")


def confirm(walk: Walker, *names: str) -> None:
    """Press the button of a dialog, which has one of these names."""
    dialog = walk.page.locator("[role=dialog], [role=alertdialog]").last
    button = dialog.get_by_role("button", name=re.compile(f"^({'|'.join(names)})$"))
    walk.click(button.first)


def write(walk: Walker, editor: Locator, text: str) -> None:
    """Replace what a code editor holds.

    An editor takes over a selection in its own time: on a busy machine what is typed may land beside the old text.
    """
    for _ in range(10):
        editor.click()
        walk.page.keyboard.press("ControlOrMeta+a")
        walk.page.keyboard.insert_text(text)
        walk.page.wait_for_timeout(300)
        if "".join(editor.inner_text().split()) == "".join(text.split()):
            return
    raise AssertionError(f"The editor holds {editor.inner_text()!r}, not {text!r}")
