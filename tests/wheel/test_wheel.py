"""What people install: the wheel, the source distribution, and the wheel in an environment with nothing else."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.support.kernel import clean_environment
from tests.support.processes import Process, answers_ok, free_port

ROOT = Path(__file__).parents[2]
ROOTS = {
    "core/prefect_kernel": "prefect_kernel",
    "plugins/prefect_kernel_plugins": "prefect_kernel_plugins",
    "conformance/prefect_kernel_conformance": "prefect_kernel_conformance",
}

pytestmark = [
    pytest.mark.timeout(600),  # installs packages
    pytest.mark.xdist_group("wheel"),  # one process builds and installs, once
]


def build(target: str, directory: Path) -> Path:
    """Build the distribution from the sources that these tests belong to."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(directory)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [made] = directory.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel."""
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` directory of an environment in which the wheel has been installed, and nothing by the tests."""
    directory = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", directory], check=True, capture_output=True)
    install = [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", str(wheel)]
    done = subprocess.run(install, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return directory / "bin"


def sources() -> set[str]:
    """The files of the packages that git knows or would know, as they are named in the wheel."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *ROOTS],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    files = {path for path in listed if (ROOT / path).exists()}
    return {
        path.replace(root, package, 1) for path in files for root, package in ROOTS.items() if path.startswith(root)
    }


def test_the_wheel_holds_the_packages_and_all_their_files(wheel: Path) -> None:
    """Every file of the packages is in the wheel, SQL files and type markers too, and nothing else is."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == sources()
    assert {"prefect_kernel/py.typed", "prefect_kernel_plugins/py.typed"} <= held
    assert {"prefect_kernel_plugins/schema/sqlite.sql", "prefect_kernel_plugins/schema/postgresql.sql"} <= held


def test_the_source_distribution_can_be_tested(tmp_path: Path) -> None:
    """The source distribution holds the packages, the tests, the licence, and what tox needs."""
    with tarfile.open(build("sdist", tmp_path)) as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "tox.ini", "tests/conftest.py"} <= held
    assert {f"{root}/__init__.py" for root in ROOTS} <= held


def test_the_command_works_where_only_the_wheel_is_installed(installed: Path, tmp_path: Path) -> None:
    """With the declared dependencies and no others, `prefect-kernel version` answers."""
    done = subprocess.run(
        [installed / "prefect-kernel", "version"],
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("prefect-kernel ")
    assert done.stderr == ""


def test_the_defaults_serve_where_only_the_wheel_is_installed(installed: Path, tmp_path: Path) -> None:
    """The README's first command, with a port and a home of the test's own, makes a database and answers."""
    port = free_port()
    command = [str(installed / "prefect-kernel"), "serve", "--port", str(port)]
    log = tmp_path / "log"
    server = Process(command, log=log, env=clean_environment(tmp_path / "home"), cwd=tmp_path)
    try:
        server.wait_until(lambda: answers_ok(f"http://127.0.0.1:{port}/api/health"))
        made = httpx.post(f"http://127.0.0.1:{port}/api/flows/", json={"name": "first"})
        assert made.status_code == 201
        assert (tmp_path / "home" / "prefect.db").exists()
    finally:
        assert server.stop() == 0, log.read_text()
