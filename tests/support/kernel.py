"""The real kernel as a process: `python -m prefect_kernel serve` on a database, with its output kept."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .processes import Process, answers_ok, free_port

# Variables of the person who runs the tests must not reach the servers under test.
_FOREIGN = ("PREFECT_", "PYTHONPATH")


def clean_environment(home: Path, **variables: str) -> dict[str, str]:
    """The environment of this process without its Prefect settings; `PREFECT_HOME` is the test's own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {
        **environment,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
        **variables,
    }


class KernelServer:
    """One server on one port, which can be stopped, killed and started again on the same database."""

    def __init__(
        self, directory: Path, database_url: str, *options: str, env: Mapping[str, str] | None = None, port: int = 0
    ) -> None:
        self.database_url = database_url
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api_url = self.url + (env or {}).get("PREFECT_SERVER_API_BASE_PATH", "/api")
        self._options: Sequence[str] = options
        self._directory = directory
        self._env = clean_environment(
            directory / "home", PREFECT_SERVER_DATABASE_CONNECTION_URL=database_url, **(env or {})
        )
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        """The running process."""
        if self._process is None:
            raise RuntimeError("The server has not been started.")
        return self._process

    def start(self) -> KernelServer:
        """Start it and return when it answers."""
        self._directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "prefect_kernel", "serve", "--host", "127.0.0.1", "--port", str(self.port)]
        # Its working directory is its own: no stray prefect.toml or .env of the checkout is read.
        self._process = Process(
            [*command, *self._options], log=self._directory / "server.log", env=self._env, cwd=self._directory
        )
        self._process.wait_until(lambda: answers_ok(f"{self.api_url}/health"))
        return self

    def log(self) -> str:
        """What it has printed, over all its starts."""
        return self.process.log()

    def stop(self) -> int:
        """End it in good order; its exit code."""
        return self.process.stop()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()

    def restart(self) -> KernelServer:
        """Start it again, on the same port and database, after `stop` or `kill`."""
        if self.process.returncode is None:
            self.stop()
        return self.start()
