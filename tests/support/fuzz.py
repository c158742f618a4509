"""Requests that schemathesis makes up from the kernel's own OpenAPI document: `python -m tests.support.fuzz [OPTIONS]`.

No answer may be a 500, nor have a status that the document does not name. PREFECT_KERNEL_FUZZ=full makes over 20,000
requests; PREFECT_KERNEL_FUZZ_DATABASE is the URL of a database to use, in place of a new SQLite one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from .kernel import KernelServer

FULL = os.environ.get("PREFECT_KERNEL_FUZZ") == "full"
EXAMPLES, SEED = ("200" if FULL else "3"), os.environ.get("PREFECT_KERNEL_FUZZ_SEED", "0")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"
SETTINGS = {"PREFECT_KERNEL_AUDIT": "run", "PREFECT_SERVER_METRICS_ENABLED": "true"}
"""So that there are the routes of both, and a row for each change."""


def main(options: Sequence[str]) -> int:
    """Start a kernel, and let schemathesis at it; its exit code."""
    command = shutil.which("st")
    if command is None:
        raise SystemExit("schemathesis is not installed; `tox -e fuzz` installs it.")
    with tempfile.TemporaryDirectory(prefix="kernel-fuzz-") as name:
        directory = Path(name)
        url = os.environ.get("PREFECT_KERNEL_FUZZ_DATABASE", f"sqlite+aiosqlite:///{directory / 'kernel.db'}")
        kernel = KernelServer(directory, url, "--no-services", env=SETTINGS).start()
        try:
            document = directory / "openapi.json"
            with urllib.request.urlopen(f"{kernel.url}/openapi.json", timeout=60) as answer:
                document.write_bytes(answer.read())
            arguments = ["--url", kernel.url, "--checks", CHECKS, "--max-examples", EXAMPLES, "--seed", SEED]
            arguments += ["--phases", "fuzzing", "--request-timeout", "30"]
            # Where it runs it leaves a folder.
            done = subprocess.run([command, "run", str(document), *arguments, *options], check=False, cwd=directory)
            return done.returncode
        finally:
            kernel.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
