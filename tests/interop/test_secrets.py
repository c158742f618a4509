"""Secrets of blocks: what one server has encrypted, the other one reads, on one database."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fixtures import ServerFactory
from tests.support.kernel import clean_environment
from tests.support.reference import ReferenceServer

pytestmark = [pytest.mark.reference, pytest.mark.timeout(240)]

KEY = "JXNvbWUta2V5LW9mLTMyLWJ5dGVzLWZvci10ZXN0cyE="
ReferenceFactory = Callable[..., ReferenceServer]

SAVE = """
import sys
from pydantic import SecretStr
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.types import SecretDict

class Inner(Block):
    user: str
    password: SecretStr

class Outer(Block):
    inner: Inner
    more: SecretDict

def save(name):
    Secret(value=f"hush {name}").save(name)
    inner = Inner(user=name, password=f"password of {name}")
    inner.save(name)
    Outer(inner=inner, more=SecretDict({"a": {"b": name}})).save(name)

def load(name):
    assert Secret.load(name).get() == f"hush {name}"
    outer = Outer.load(name)
    assert outer.inner.password.get_secret_value() == f"password of {name}"
    assert outer.more.get_secret_value() == {"a": {"b": name}}
"""


def run(python: Path, api_url: str, home: Path, *lines: str) -> None:
    """Run lines after the definitions above, with the real client."""
    environment = clean_environment(home, PREFECT_API_URL=api_url)
    command = [str(python), "-c", "\n".join([SAVE, *lines])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("key", ["database", "environment"])
def test_either_server_reads_the_others_secrets(
    server: ServerFactory,
    reference_server: ReferenceFactory,
    reference_python: Path,
    database_url: str,
    tmp_path: Path,
    key: str,
) -> None:
    """With the key that Prefect made in the database, or one given to both; documents, nested ones, and new ones."""
    own = {"PREFECT_SERVER_ENCRYPTION_KEY": KEY} if key == "environment" else {}
    home = tmp_path / "client"
    prefect = reference_server(database_url, env=own)
    run(reference_python, prefect.api_url, home, "save('by-prefect')", "load('by-prefect')")
    prefect.stop()

    kernel = server(database_url, env=own)
    run(reference_python, kernel.api_url, home, "load('by-prefect')", "save('by-kernel')", "load('by-kernel')")
    kernel.stop()

    again = reference_server(database_url, env=own)
    run(reference_python, again.api_url, home, "load('by-prefect')", "load('by-kernel')")
