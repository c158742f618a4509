"""Processes in the background: a file in PREFECT_HOME says which is which, as Prefect has it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from ..errors import KernelError
from ..settings import Settings, load

STOP_SECONDS = 30.0
_SAYS = {
    "server": ("The server runs", "The server ended", "No server runs", "`prefect-kernel server stop` ends it"),
    "services": (
        "The services run", "The services ended", "No services run", "`prefect-kernel services stop` ends them"
    ),
}  # fmt: skip
"""Of what runs in the background: that it does, that it has ended, that it does not, and how it is ended."""


def _pid_file(settings: Settings, what: str) -> Path:
    return Path(settings.home) / f"{what}.pid"


def _running(path: Path) -> int | None:
    """The process that a file names, when it runs."""
    try:
        pid = int(path.read_text("ascii"))
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def start(what: str, arguments: Sequence[str]) -> None:
    """Start a process of its own, and return when it lives; its output goes to a file in PREFECT_HOME."""
    settings = load()
    path = _pid_file(settings, what)
    runs, ended, _, ends = _SAYS[what]
    if (pid := _running(path)) is not None:
        raise KernelError(f"{runs} in the background already (process {pid}, {path}); {ends}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    output = path.with_suffix(".log")
    with output.open("ab") as log:
        command = [sys.executable, "-m", "prefect_kernel", *arguments]
        process = subprocess.Popen(  # noqa: S603 - our own command line
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    path.write_text(str(process.pid), "ascii")
    time.sleep(0.5)
    if process.poll() is not None:
        path.unlink(missing_ok=True)
        told = output.read_text("utf-8", "replace").splitlines()[-3:]
        raise KernelError(f"{ended} at once:\n" + "\n".join(told))
    click.echo(f"{runs} in the background (process {process.pid}); {ends}.")
    click.echo(f"Output    {output}")


def stop(what: str) -> None:
    """Stop what `start` has started; an error when there is nothing."""
    path = _pid_file(load(), what)
    pid = _running(path)
    if pid is None:
        path.unlink(missing_ok=True)
        raise KernelError(f"{_SAYS[what][2]} in the background.")
    os.kill(pid, signal.SIGTERM)
    give_up = time.monotonic() + STOP_SECONDS
    while _running(path) is not None:
        if time.monotonic() > give_up:
            raise KernelError(f"Process {pid} does not stop.")
        _reap(pid)
        time.sleep(0.05)
    path.unlink(missing_ok=True)
    click.echo("Stopped.")


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)  # when it is a child of this very process
    except OSError:
        pass


def _ask(url: str, secret: str | None) -> str | None:
    """The version of the server's API, or None when it does not answer."""
    import base64

    for path in ("/health", "/admin/version"):
        request = urllib.request.Request(url + path)  # noqa: S310 - the address of the settings
        if secret is not None:
            request.add_header("Authorization", "Basic " + base64.b64encode(secret.encode()).decode())
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            body = answer.read()
    return str(orjson.loads(body))


def show_status(*, wait: bool, timeout: int, as_json: bool) -> None:
    """Say whether the server that the settings name answers."""
    settings = load()
    url = settings.api.url or f"http://{settings.server.api.host}:{settings.server.api.port}/api"
    secret = settings.api.auth_string or settings.server.api.auth_string
    began = time.monotonic()
    while True:
        result: dict[str, Any] = {"status": "available", "api_url": url}
        try:
            result["server_version"] = _ask(url, secret.get_secret_value() if secret else None)
        except (urllib.error.URLError, OSError, ValueError) as error:
            result |= {"status": "unavailable", "error": str(error)}
        over = 0 < timeout <= time.monotonic() - began
        if result["status"] == "available" or not wait or over:
            break
        time.sleep(0.5)
    if over and wait and result["status"] != "available":
        result |= {"status": "timed_out", "timeout": timeout}
    if as_json:
        click.echo(orjson.dumps(result, option=orjson.OPT_INDENT_2).decode())
    elif result["status"] == "available":
        click.echo(f"The server at {url} answers; it stands in for Prefect {result['server_version']}.")
    else:
        click.echo(f"The server at {url} does not answer: {result['error']}", err=True)
    if result["status"] != "available":
        sys.exit(1)
