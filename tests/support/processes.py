"""Child processes of the tests: free ports, captured output, and an end that is never forgotten."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

BOOT_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def accepts_connections(host: str, port: int) -> bool:
    """Whether something accepts TCP connections there."""
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def answers_ok(url: str) -> bool:
    """Whether a GET of the URL is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


class Process:
    """A child process in a session of its own, whose output is kept in a file."""

    def __init__(
        self, command: Sequence[str | os.PathLike[str]], *, log: Path, env: Mapping[str, str], cwd: Path | None = None
    ) -> None:
        self.command = [os.fspath(part) for part in command]
        self.log_path = log
        self._reaper = threading.Lock()
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                self.command,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or None while it runs."""
        with self._reaper:
            return self._popen.poll()

    def log(self) -> str:
        """Everything printed up to now, standard output and error together."""
        return self.log_path.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], bool], timeout: float = BOOT_TIMEOUT) -> None:
        """Return once `ready` holds; raise with the output when the process ends or the time is up."""
        deadline = time.monotonic() + timeout
        while not ready():
            if self.returncode is not None:
                raise RuntimeError(f"{self.command} ended with {self.returncode} before it was ready:\n{self.log()}")
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError(f"{self.command} was not ready after {timeout:.0f} s:\n{self.log()}")
            time.sleep(0.02)

    def stop(self, timeout: float = STOP_TIMEOUT) -> int:
        """Ask it to end (SIGTERM) and return its exit code; one that does not obey is killed, which is an error."""
        if self.returncode is None:
            self._popen.terminate()
            try:
                self._popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise TimeoutError(f"{self.command} ignored SIGTERM for {timeout:.0f} s:\n{self.log()}") from None
        self._kill_group()
        return self._popen.wait()

    def kill(self) -> None:
        """End it, and what it started, at once (SIGKILL)."""
        self._kill_group()
        self._popen.wait()

    def _kill_group(self) -> None:
        try:
            os.killpg(self._popen.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
            return
