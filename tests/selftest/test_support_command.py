"""The command that gives the tests' services to other commands."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.__main__ import main

LOOK = """
import os, sys
names = ("PREFECT_KERNEL_TEST_POSTGRES_URL", "PREFECT_KERNEL_TEST_REDIS_URL", "PREFECT_KERNEL_REFERENCE_PYTHON")
print([os.environ[name].split(":")[0] for name in names])
sys.exit(7)
"""


def test_a_command_finds_the_services_and_its_exit_code_is_passed_on(
    reference_python: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The command's environment names PostgreSQL, Redis and the reference; it ends as the command ends."""
    assert main([sys.executable, "-c", LOOK]) == 7
    assert capfd.readouterr().out.strip() == str(["postgresql", "redis", str(reference_python)])
