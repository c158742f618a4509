"""Requests that schemathesis makes up from the kernel's own OpenAPI document: `python -m tests.support.fuzz [OPTIONS]`.

No answer may be a 500, nor have a status or a type that the document does not name. Requests are about things that
exist as well as about others. PREFECT_KERNEL_FUZZ=full makes over 20,000; PREFECT_KERNEL_FUZZ_DATABASE is the URL of a
database to use, in place of a new SQLite one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .fuzz_seeds import AUTHORIZATION, ask, seed, with_seeds
from .kernel import KernelServer

FULL = os.environ.get("PREFECT_KERNEL_FUZZ") == "full"
EXAMPLES, SEED = ("200" if FULL else "3"), os.environ.get("PREFECT_KERNEL_FUZZ_SEED", "0")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"
SETTINGS = {
    "PREFECT_KERNEL_AUDIT": "run",
    "PREFECT_KERNEL_API_KEYS": "true",
    "PREFECT_KERNEL_USERS": "true",
    "PREFECT_SERVER_METRICS_ENABLED": "true",
    "PREFECT_SERVER_API_AUTH_STRING": "fuzz:fuzz",
}
"""So that there is every route, and a row for each change."""


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
            declared = with_seeds(ask(kernel.url, "GET", "/openapi.json"), seed(kernel.api_url))
            document.write_text(json.dumps(declared))
            arguments = ["--url", kernel.url, "--checks", CHECKS, "--max-examples", EXAMPLES, "--seed", SEED]
            arguments += ["--phases", "fuzzing", "--request-timeout", "30"]
            arguments += ["--header", f"Authorization:{AUTHORIZATION}"]
            # Where it runs it leaves a folder.
            done = subprocess.run([command, "run", str(document), *arguments, *options], check=False, cwd=directory)
            return done.returncode
        finally:
            kernel.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
