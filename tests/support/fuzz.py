"""Requests that schemathesis makes up from the kernel's own OpenAPI document: `python -m tests.support.fuzz [OPTIONS]`.

No answer may be a 500, nor have a status that the document does not name. PREFECT_KERNEL_FUZZ=full makes many more.
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
CHECKS = "not_a_server_error,status_code_conformance"


def main(options: Sequence[str]) -> int:
    """Start a kernel on a new SQLite database, and let schemathesis at it; its exit code."""
    command = shutil.which("st")
    if command is None:
        raise SystemExit("schemathesis is not installed; `tox -e fuzz` installs it.")
    with tempfile.TemporaryDirectory(prefix="kernel-fuzz-") as name:
        directory = Path(name)
        kernel = KernelServer(directory, f"sqlite+aiosqlite:///{directory / 'kernel.db'}", "--no-services").start()
        try:
            document = directory / "openapi.json"
            with urllib.request.urlopen(f"{kernel.url}/openapi.json", timeout=60) as answer:
                document.write_bytes(answer.read())
            arguments = ["--url", kernel.url, "--checks", CHECKS, "--max-examples", EXAMPLES, "--seed", SEED]
            arguments += ["--phases", "fuzzing", "--request-timeout", "30"]
            return subprocess.run([command, "run", str(document), *arguments, *options], check=False).returncode
        finally:
            kernel.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
