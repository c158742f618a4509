"""Processes in the background: a file in PREFECT_HOME says which is which, as Prefect has it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from ..errors import KernelError
from ..settings import Settings, load
from .asking import address_of, get

STOP_SECONDS = 30.0
QUIET_SECONDS = 10.0
"""After which it is said that a start takes long: the upgrade of a large database may."""
_READY = {"server": re.compile(r'(\{.*"message":")?API '), "services": re.compile(r'(\{.*"message":")?Services ')}
"""How the line begins that is printed when everything is open, as text or as JSON."""
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
    """The process that a file names, when it runs, and is a server: the number may be another process's by now."""
    try:
        pid = int(path.read_text("ascii"))
        os.kill(pid, 0)
        return pid if pid > 0 and _is_ours(pid) else None
    except (OSError, ValueError, OverflowError):
        return None


def _is_ours(pid: int) -> bool:
    """Whether a process is Prefect's or the kernel's, where the system tells. One that has only just begun may be."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return not Path("/proc/self/cmdline").exists()
    return b"prefect" in command


def start(what: str, arguments: Sequence[str]) -> None:
    """Start a process of its own, and return once it has opened everything; its output goes to a file in PREFECT_HOME.

    Raises KernelError, with what it said last, when it ends before that.
    """
    settings = load()
    path = _pid_file(settings, what)
    runs, ended, _, ends = _SAYS[what]
    if (pid := _running(path)) is not None:
        raise KernelError(f"{runs} in the background already (process {pid}, {path}); {ends}.")
    output = path.with_suffix(".log")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with output.open("ab") as log:
            said_before = log.tell()
            command = [sys.executable, "-m", "prefect_kernel", *arguments]
            process = subprocess.Popen(  # noqa: S603 - our own command line
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        path.write_text(str(process.pid), "ascii")
    except OSError as error:
        raise KernelError(f"Nothing can be started from {path.parent}: {error}") from error
    patience = time.monotonic() + QUIET_SECONDS
    while not (lines := _said(output, said_before)) or not any(map(_READY[what].match, lines)):
        if process.poll() is not None:
            path.unlink(missing_ok=True)
            lines = [line.removeprefix("Error: ") for line in _said(output, said_before)[-3:]]
            told = "\n".join(lines) or f"It said nothing (exit status {process.returncode})."
            raise KernelError(f"{ended} while starting:\n{told}")
        if time.monotonic() > patience:
            patience = float("inf")
            click.echo(f"Process {process.pid} is not ready yet; it says why in {output}", err=True)
        time.sleep(0.05)
    click.echo(f"{runs} in the background (process {process.pid}); {ends}.")
    click.echo(f"Output    {output}")


def _said(output: Path, since: int) -> list[str]:
    """The lines of the output since a place in it."""
    with output.open("rb") as log:
        log.seek(since)
        return log.read().decode("utf-8", "replace").splitlines()


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


def _ask(settings: Settings, url: str) -> str:
    """The version of the server's API."""
    get(settings, f"{url}/health", 5)
    return str(get(settings, f"{url}/admin/version", 5).json)


def show_status(*, wait: bool, timeout: int, as_json: bool) -> None:
    """Say whether the server that the settings name answers."""
    settings = load()
    url = address_of(settings)
    began = time.monotonic()
    while True:
        result: dict[str, Any] = {"status": "available", "api_url": url}
        try:
            result["server_version"] = _ask(settings, url)
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
