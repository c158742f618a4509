"""The living reference: Python Prefect 3.8.8 in a virtual environment of its own, its server and its client.

The environment is made once per user and kept in the cache directory, because installing Prefect takes a minute.
`PREFECT_KERNEL_REFERENCE_PYTHON` names an interpreter which has it already.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .kernel import clean_environment
from .processes import Process, answers_ok, free_port

REFERENCE_VARIABLE = "PREFECT_KERNEL_REFERENCE_PYTHON"
REFERENCE_VERSION = "3.8.8"


def requirements(version: str = REFERENCE_VERSION) -> tuple[str, ...]:
    """What makes a working Prefect of that version; newer releases of the other two break it."""
    return (f"prefect=={version}", "fastapi>=0.139,<0.142", "sqlalchemy<2.1")


def reference_python(version: str = REFERENCE_VERSION) -> Path:
    """The interpreter of an environment with that Prefect, made when it does not exist."""
    if version == REFERENCE_VERSION and (given := os.environ.get(REFERENCE_VARIABLE)):
        return _checked(Path(given), version)
    return _environment(version, requirements(version))


def client_python(version: str) -> Path:
    """The interpreter of an environment with that version's client, made when it does not exist.

    Releases before 3.8 were never tried with what was released after them, so packages that have broken them since are
    held back.
    """
    if version == REFERENCE_VERSION:
        return reference_python()
    held: tuple[str, ...] = ()
    if not version.startswith(("3.8.", "3.9.")):
        held = ("sqlalchemy<2.1", "fastapi<0.120", "starlette<0.49")
    if version.startswith(("3.0.", "3.1.", "3.2.")):
        held += ("pydantic<2.11",)
    return _environment(version, (f"prefect=={version}", *held))


def _environment(version: str, wanted: Sequence[str]) -> Path:
    key = hashlib.sha256("\n".join((sys.version, *wanted)).encode()).hexdigest()[:12]
    directory = cache_directory() / f"prefect-{version}-{key}"
    python, complete = directory / "bin" / "python", directory / "complete"
    with _locked(directory.with_suffix(".lock")):
        if not complete.exists():
            if directory.exists():
                shutil.rmtree(directory)
            _run([sys.executable, "-m", "venv", directory])
            _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted])
            _checked(python, version)
            complete.touch()
    return python


def cache_directory() -> Path:
    """Where environments are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "prefect-kernel-tests"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _checked(python: Path, version: str) -> Path:
    script = "import importlib.metadata as m; print(m.version('prefect'))"
    found = subprocess.run([python, "-c", script], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
    if found.stdout.strip() != version:
        raise RuntimeError(f"{python} has Prefect {found.stdout.strip()}, and the tests need {version}.")
    return python


def _run(command: Sequence[str | os.PathLike[str]]) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")},
    )
    if done.returncode:
        raise RuntimeError(
            f"The reference environment could not be made: {command} ended with {done.returncode}:\n{done.stdout}\n"
            f"Name an interpreter that has Prefect {REFERENCE_VERSION} in {REFERENCE_VARIABLE} to do without it."
        )


class ReferenceServer:
    """Python Prefect's own server as a process, on a database of the test's."""

    def __init__(
        self, python: Path, directory: Path, database_url: str, *, env: Mapping[str, str] | None = None
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api_url = f"{self.url}/api"
        self._directory = directory
        self._command = [python, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        self._env = clean_environment(
            directory / "home",
            PREFECT_SERVER_DATABASE_CONNECTION_URL=database_url,
            PREFECT_SERVER_UI_ENABLED="false",
            **(env or {}),
        )
        self._process: Process | None = None

    def start(self) -> ReferenceServer:
        """Start it and return when it answers."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._process = Process(
            [*map(str, self._command), "--no-ui"],
            log=self._directory / "server.log",
            env=self._env,
            cwd=self._directory,
        )
        self._process.wait_until(lambda: answers_ok(f"{self.api_url}/health"), timeout=120)
        return self

    def log(self) -> str:
        """What it has printed."""
        return self._process.log() if self._process else ""

    def stop(self) -> None:
        """End it; how it ends is no concern of these tests."""
        if self._process is not None:
            self._process.kill()


def run_client(
    python: Path,
    script: str | Path,
    api_url: str,
    directory: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run a script (a file, or its text) with the unmodified client against an API; raises when it fails."""
    directory.mkdir(parents=True, exist_ok=True)
    if isinstance(script, str):
        (directory / "script.py").write_text(script)
        script = directory / "script.py"
    done = subprocess.run(
        [python, script, *arguments],
        cwd=directory,
        env=clean_environment(directory / "home", PREFECT_API_URL=api_url, **(env or {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{script} ended with {done.returncode}:\n{done.stdout}")
    return done


if __name__ == "__main__":
    # Before the tests: so that no test's time limit pays for the installation.
    print(reference_python())  # noqa: T201
