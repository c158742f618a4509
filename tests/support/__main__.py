"""`python -m tests.support COMMAND …`: run a command with what the tests stand on named in its environment.

A PostgreSQL and a Redis are found or started as for the tests, and the reference's environment is made if need be.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack

from . import services
from .reference import REFERENCE_VARIABLE, reference_python


def main(command: list[str]) -> int:
    """The exit code of the command."""
    with ExitStack() as stack:
        postgres = stack.enter_context(services.postgres_server())
        environment = {
            **os.environ,
            services.POSTGRES_VARIABLE: postgres,
            services.REDIS_VARIABLE: stack.enter_context(services.redis_server()),
            "PREFECT_KERNEL_CONFORMANCE_POSTGRES": postgres,
            REFERENCE_VARIABLE: str(reference_python()),
        }
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
