"""A headless Chromium that notes everything a page complains about."""

from __future__ import annotations

import base64
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, Response, Route, sync_playwright

CHROMIUM_VARIABLE = "PREFECT_KERNEL_TEST_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = 0.4
"""Seconds without a request in flight after which a page counts as loaded."""
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


class NoBrowser(Exception):
    """There is no Chromium on this machine."""


def chromium() -> str:
    """The path of the browser to use."""
    named = os.environ.get(CHROMIUM_VARIABLE)
    for name in (named,) if named else NAMES:
        if found := shutil.which(name):
            return found
    raise NoBrowser(
        f"The tests of the web interface need Chromium or Chrome: install one (Debian: `apt-get install chromium`), or "
        f"name it in {CHROMIUM_VARIABLE}."
    )


class Walker:
    """One browser window; `complaints` holds failed requests, console errors and exceptions, in order."""

    def __init__(self, context: BrowserContext, url: str, shots: Path, prefix: str = "") -> None:
        self.url = url
        self.complaints: list[str] = []
        self._forgiven: list[re.Pattern[str]] = []
        self.context = context
        self._shots = shots
        self._prefix = prefix
        self._in_flight: set[Request] = set()
        self._last = time.monotonic()
        context.route(lambda address: urlsplit(address).hostname not in ("127.0.0.1", "localhost"), self._outside)
        self.page = context.new_page()
        self.page.on("request", self._begins)
        self.page.on("requestfinished", self._ends)
        self.page.on("requestfailed", self._fails)
        self.page.on("response", self._answered)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self._complain(f"exception: {error}"))

    def forgive(self, *patterns: str) -> None:
        """Complaints that match one of these are not noted."""
        self._forgiven += map(re.compile, patterns)

    # ------------------------------------------------------------------ what the browser tells

    def _complain(self, text: str) -> None:
        if not any(pattern.search(text) for pattern in self._forgiven):
            self.complaints.append(f"{urlsplit(self.page.url).path}: {text}")

    def _begins(self, request: Request) -> None:
        self._in_flight.add(request)
        self._last = time.monotonic()

    def _ends(self, request: Request) -> None:
        self._in_flight.discard(request)
        self._last = time.monotonic()

    def _fails(self, request: Request) -> None:
        self._ends(request)
        # A page that is left gives up what it was loading.
        if request.failure and "ERR_ABORTED" not in request.failure:
            self._complain(f"{request.method} {request.url} failed: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            body = "" if response.request.method == "HEAD" else (response.request.post_data or "")[:500]
            self._complain(f"{response.request.method} {response.url} answered {response.status} to {body}")

    def _said(self, message: ConsoleMessage) -> None:
        # A failed request is noted by itself, with its status.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self._complain(f"console: {message.text[:500]}")

    def _outside(self, route: Route) -> None:
        """Logos come from elsewhere; the walk stays on this machine."""
        if route.request.resource_type == "image":
            route.fulfill(body=PIXEL, content_type="image/png")
        else:
            route.fulfill(body="")

    # ------------------------------------------------------------------ what a person does

    def go(self, path: str) -> Page:
        """Open a page and wait until it has loaded."""
        self.page.goto(self.url + path, wait_until="domcontentloaded")
        self.settle()
        return self.page

    def settle(self, timeout: float = 15) -> None:
        """Wait until no request has been in flight for a moment."""
        self._last = time.monotonic()
        end = self._last + timeout
        while time.monotonic() < end:
            self.page.wait_for_timeout(50)
            if not self._in_flight and time.monotonic() - self._last > QUIET:
                return

    def click(self, target: Locator | str) -> None:
        """Click a button, link or tab, given itself or by its name, and wait for what it loads."""
        where = self.page.get_by_role("button", name=target, exact=True) if isinstance(target, str) else target
        where.click()
        self.settle()

    def shot(self, name: str) -> None:
        """Keep a picture of the window, where pictures are wanted."""
        self._shots.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self._shots / f"{self._prefix}{name}.png")

    def tabs(self) -> list[str]:
        """The names of the tabs of this page."""
        return [tab.inner_text().strip() for tab in self.page.get_by_role("tab").all() if tab.is_visible()]


@contextmanager
def walker(url: str, shots: Path, prefix: str = "", **options: object) -> Iterator[Walker]:
    """A browser with one window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        context = browser.new_context(viewport={"width": 1400, "height": 1000}, **options)  # type: ignore[arg-type]
        context.set_default_timeout(60_000)  # of what a machine under load needs, too
        context.set_default_navigation_timeout(60_000)
        try:
            yield Walker(context, url, shots, prefix)
        finally:
            context.close()
            browser.close()
