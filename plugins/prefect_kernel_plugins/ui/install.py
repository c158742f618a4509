"""`prefect-kernel ui`: fetching Prefect's built interface, and saying which one is served."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

import click

from prefect_kernel.errors import KernelError
from prefect_kernel.versions import PREFECT_VERSION

from .bundles import FOLDERS, Bases, find


class InstallError(KernelError):
    """The interface cannot be fetched or unpacked."""


@click.group()
def ui() -> None:
    """Fetch the web interface, or see where it is."""


@ui.command()
@click.option(
    "--from",
    "wheel",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A wheel of prefect on this machine, in place of the one from the package index.",
)
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), help="Where to; default: `ui` in PREFECT_HOME.")
def install(wheel: Path | None, to: Path | None) -> None:
    """Take Prefect's built interface out of its wheel, which pip downloads, and install nothing else of it."""
    from prefect_kernel.settings import load

    target = to or Path(load().home) / "ui"
    with tempfile.TemporaryDirectory() as scratch:
        counts = unpack(wheel or download(Path(scratch)), target)
    for version, count in counts.items():
        click.echo(f"{target / version}: {count} files")
    click.echo("A running server shows it when its page is loaded again.")


@ui.command()
def where() -> None:
    """Say which folders the server takes the interface from; exit code 1 when there is none."""
    from prefect_kernel.settings import load

    settings = load()
    found = find(settings, Bases.of(settings.server.ui.serve_base))
    for version, folder in found.items():
        click.echo(f"{version}  {folder}")
    if not found:
        reason = "There is none: `prefect-kernel ui install` fetches it."
        click.echo(reason if settings.server.ui.enabled else "The settings want none (PREFECT_UI_ENABLED).", err=True)
        sys.exit(1)


def download(folder: Path) -> Path:
    """Prefect's wheel, by pip, from the index that pip is set up for."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder), f"prefect=={PREFECT_VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - nothing in it is input
    wheels = sorted(folder.glob("prefect-*.whl"))
    if done.returncode or not wheels:
        told = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise InstallError(
            f"pip cannot download prefect {PREFECT_VERSION}: {told}\n"
            f"Fetch its wheel where that is possible, and use `prefect-kernel ui install --from WHEEL`."
        )
    return wheels[0]


def unpack(wheel: Path, target: Path) -> dict[str, int]:
    """Put each version of the interface that the wheel has into a folder of its own; how many files each has.

    A folder is replaced as a whole once its successor is complete.
    """
    try:
        archive = zipfile.ZipFile(wheel)
    except (zipfile.BadZipFile, OSError) as error:
        raise InstallError(f"{wheel} is not a wheel: {error}") from error
    counts: dict[str, int] = {}
    with archive:
        for version, folder in FOLDERS.items():
            root = PurePosixPath("prefect/server", folder)
            names = [
                name for name in archive.namelist() if not name.endswith("/") and root in PurePosixPath(name).parents
            ]
            if str(root / "index.html") not in names:
                continue
            try:
                _replace(archive, names, root, target / version)
            except OSError as error:
                raise InstallError(f"Cannot write to {target}: {error.strerror or error}.") from error
            counts[version] = len(names)
    if not counts:
        raise InstallError(f"{wheel} holds no web interface.")
    return counts


def _replace(archive: zipfile.ZipFile, names: list[str], root: PurePosixPath, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name in names:
            relative = PurePosixPath(name).relative_to(root)
            if ".." in relative.parts:
                raise InstallError(f"The wheel has a file whose name leads out of it: {name}")
            path = fresh.joinpath(*relative.parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))
        fresh.chmod(0o755)
        old = fresh.with_name(fresh.name + "-old")
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
