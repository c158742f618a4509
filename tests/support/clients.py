"""Real clients of several versions run flows against Python Prefect 3.8.8 and the kernel: `python -m
tests.support.clients [VERSION[=INTERPRETER] …] [-- OPTIONS OF THE RUNNER]`.

Each version lives in an environment of its own, which is made when it is not there and no interpreter is named. What
passes with a client on Python Prefect must pass on the kernel, and both servers must say the same of it afterwards.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from . import reference, services

VERSIONS = ("3.0.11", "3.2.15", "3.4.25", "3.6.29", "3.8.8", "3.9.1")
"""The oldest patch releases that are promised, the reference, and the newest."""


def main(arguments: Sequence[str]) -> int:
    """Run them all, one after the other; 0 only when there is no difference."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    versions, options = arguments[:at] or VERSIONS, arguments[at + 1 :]
    reference_python = str(reference.reference_python())
    failed: list[str] = []
    said: list[str] = []
    with services.postgres_server() as postgres:
        for version in versions:
            version, _, named = version.partition("=")  # noqa: PLW2901
            sys.stdout.write(f"=== client {version}\n")
            sys.stdout.flush()
            try:
                python = named or str(reference.client_python(version))
            except RuntimeError as error:
                sys.stdout.write(f"{error}\n")
                said.append(f"{version:<10} NOT RUN: it could not be installed")
                failed.append(version)
                continue
            command = [sys.executable, "-m", "prefect_kernel_conformance", "--only", "client_flows", "--no-coverage"]
            command += ["--reference-python", reference_python, "--client-python", python, "--postgres", postgres]
            done = subprocess.run([*command, *options], check=False)
            said.append(f"{version:<10} {'as with Python Prefect' if done.returncode == 0 else 'DIFFERENT'}")
            failed += [version] if done.returncode else []
    sys.stdout.write("\n".join(["", "client     on the kernel", *said, ""]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
