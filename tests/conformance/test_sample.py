"""A sample of the sequences and of generated cases, against Python Prefect: no unexplained difference.

`tox -e conformance` plays everything. PREFECT_KERNEL_CONFORMANCE_SEED draws another sample.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import services

SEED = os.environ.get("PREFECT_KERNEL_CONFORMANCE_SEED", "0")
SHARE, CASES = "0.1", "4"

pytestmark = [pytest.mark.reference, pytest.mark.timeout(600)]


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_sample(database: str, reference_python: Path, postgres: services.Postgres) -> None:
    """The runner, as a person runs it, with part of the cases of every group."""
    options = ["--db", database, "--postgres", postgres.url, "--reference-python", str(reference_python)]
    options += ["--seed", SEED, "--share", SHARE, "--cases", CASES, "--no-coverage"]
    done = subprocess.run(
        [sys.executable, "-m", "prefect_kernel_conformance", *options], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No unexplained difference." in done.stdout
