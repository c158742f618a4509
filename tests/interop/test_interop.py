"""One database, two servers: what one of them has written, the other one reads in the same way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.reading import Reader, assert_same
from tests.support.fixtures import ServerFactory
from tests.support.kernel import clean_environment
from tests.support.reference import ReferenceServer, run_client

pytestmark = [pytest.mark.reference, pytest.mark.timeout(240)]

SCRIPT = Path(__file__).with_name("script_flow.py")
SECRETS = Path(__file__).with_name("script_secrets.py")
KEY = "JXNvbWUta2V5LW9mLTMyLWJ5dGVzLWZvci10ZXN0cyE="
ReferenceFactory = Callable[..., ReferenceServer]


def told(times: int) -> Callable[[list[str]], bool]:
    """Whether events tell about everything that so many runs of the script do."""

    def enough(names: list[str]) -> bool:
        finished = [name for name in names if name in ("prefect.flow-run.Completed", "prefect.flow-run.Failed")]
        tasks = [name for name in names if name in ("prefect.task-run.Completed", "prefect.task-run.Failed")]
        return len(finished) == 3 * times and len(tasks) == 5 * times and names.count("interop.done") == times

    return enough


def test_prefect_goes_on_with_the_kernels_database(
    server: ServerFactory,
    reference_server: ReferenceFactory,
    reference_python: Path,
    database_url: str,
    tmp_path: Path,
) -> None:
    """Flows that ran in the kernel are all there when Prefect starts on its database, and the other way round.

    So are secrets of blocks, encrypted with a key that both servers are given.
    """
    key = {"PREFECT_SERVER_ENCRYPTION_KEY": KEY}
    kernel = server(database_url, env=key)
    run_client(reference_python, SCRIPT, kernel.api_url, tmp_path / "first", "save", "by-kernel", "load", "by-kernel")
    with Reader(kernel.api_url) as reader:
        reader.wait_for_events(told(1))
        by_kernel = reader.everything()
    assert by_kernel["counts"] == [3, 3, 6]
    kernel.stop()

    prefect = reference_server(database_url, env=key)
    with Reader(prefect.api_url) as reader:
        assert_same(by_kernel, reader.everything())
        secrets = ("load", "by-kernel", "save", "by-prefect", "load", "by-prefect")
        run_client(reference_python, SCRIPT, prefect.api_url, tmp_path / "second", *secrets)
        reader.wait_for_events(told(2))
        by_prefect = reader.everything()
    assert by_prefect["counts"] == [3, 6, 12]
    prefect.stop()

    kernel.start()
    with Reader(kernel.api_url) as reader:
        assert_same(by_prefect, reader.everything())
    run_client(reference_python, SECRETS, kernel.api_url, tmp_path / "third", "load", "by-kernel", "load", "by-prefect")


def test_the_kernel_goes_on_with_prefects_database(
    server: ServerFactory,
    reference_server: ReferenceFactory,
    reference_python: Path,
    database_url: str,
    tmp_path: Path,
) -> None:
    """A database that Prefect made is read by the kernel as Prefect read it, and flows run in it.

    A kernel that may not change schemas at its start says in one sentence what to run, and works after it. Either
    server reads the other's secrets with the key that Prefect has put into the database.
    """
    prefect = reference_server(database_url)
    run_client(
        reference_python, SCRIPT, prefect.api_url, tmp_path / "first", "save", "by-prefect", "load", "by-prefect"
    )
    with Reader(prefect.api_url) as reader:
        reader.wait_for_events(told(1))
        by_prefect = reader.everything()
    prefect.stop()

    hands_off = {"PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false"}
    with pytest.raises(RuntimeError, match=r"ended with 1 [^\n]*\nError: [^\n]*run `prefect-kernel database upgrade`"):
        server(database_url, env=hands_off)
    upgrade_database(database_url, tmp_path / "home")
    kernel = server(database_url, env=hands_off)
    with Reader(kernel.api_url) as reader:
        assert_same(by_prefect, reader.everything())
        secrets = ("load", "by-prefect", "save", "by-kernel", "load", "by-kernel")
        run_client(reference_python, SCRIPT, kernel.api_url, tmp_path / "second", *secrets)
        reader.wait_for_events(told(2))
        assert reader.everything()["counts"] == [3, 6, 12]
    kernel.stop()

    again = reference_server(database_url)
    run_client(reference_python, SECRETS, again.api_url, tmp_path / "third", "load", "by-prefect", "load", "by-kernel")


def upgrade_database(url: str, home: Path) -> None:
    """`prefect-kernel database upgrade`."""
    environment = clean_environment(home, PREFECT_SERVER_DATABASE_CONNECTION_URL=url)
    command = [sys.executable, "-m", "prefect_kernel", "database", "upgrade"]
    subprocess.run(command, env=environment, cwd=home.parent, stdin=subprocess.DEVNULL, check=True)
