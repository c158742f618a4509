"""Requests that schemathesis makes up from the kernel's own OpenAPI document: `python -m tests.support.fuzz [OPTIONS]`.

All checks of schemathesis but two: no answer may be a 500, nor have a status, type or body that the document does not
name. The two say that bodies are taken if and only if the document allows them: it cannot say all that counts (such as
that of two fields one must be there), some of what it does not allow is taken since Prefect takes it (`true` for a
number), and here it names only what exists. Requests are about things that exist as well as about others; those that
delete come last. PREFECT_KERNEL_FUZZ=full makes over 20,000 requests; PREFECT_KERNEL_FUZZ_DATABASE is the URL of a
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
CHECKS = ["--checks", "all", "--exclude-checks", "positive_data_acceptance,negative_data_rejection"]
DELETE = r"/bulk_delete|/kernel/(keys|users)/|/admin/"
"""Paths that take away what other requests are about, beside those of the method DELETE."""
ROUNDS = {
    "all that keeps": ["--exclude-method", "DELETE", "--exclude-path-regex", DELETE],
    "what deletes with DELETE": ["--include-method", "DELETE"],
    "what deletes otherwise": ["--include-path-regex", DELETE, "--exclude-method", "DELETE"],
}
SETTINGS = {
    "PREFECT_KERNEL_AUDIT": "run",
    "PREFECT_KERNEL_API_KEYS": "true",
    "PREFECT_KERNEL_USERS": "true",
    "PREFECT_KERNEL_EXPLAIN_COVERAGE": "true",
    "PREFECT_SERVER_METRICS_ENABLED": "true",
    "PREFECT_SERVER_API_AUTH_STRING": "fuzz:fuzz",
}
"""So that there is every route, and a row for each change."""


def main(options: Sequence[str]) -> int:
    """Start a kernel, and let schemathesis at it; its exit code."""
    program = shutil.which("st")
    if program is None:
        raise SystemExit("schemathesis is not installed; `tox -e fuzz` installs it.")
    with tempfile.TemporaryDirectory(prefix="kernel-fuzz-") as name:
        directory = Path(name)
        url = os.environ.get("PREFECT_KERNEL_FUZZ_DATABASE", f"sqlite+aiosqlite:///{directory / 'kernel.db'}")
        kernel = KernelServer(directory, url, "--no-services", env=SETTINGS).start()
        try:
            document = directory / "openapi.json"
            declared = with_seeds(ask(kernel.url, "GET", "/openapi.json"), seed(kernel.api_url))
            document.write_text(json.dumps(declared))
            arguments = ["--url", kernel.url, *CHECKS, "--max-examples", EXAMPLES, "--seed", SEED]
            arguments += ["--phases", "fuzzing", "--request-timeout", "30"]
            arguments += ["--header", f"Authorization:{AUTHORIZATION}"]
            failed = 0
            for what, chosen in ROUNDS.items():
                print(f"=== {what}", flush=True)  # noqa: T201 - what it is for
                # Where it runs it leaves a folder.
                command = [program, "run", str(document), *arguments, *chosen, *options]
                failed |= subprocess.run(command, check=False, cwd=directory).returncode
            return failed
        finally:
            kernel.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
