"""What `deploy/` says about the image, as far as it can be tried without one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def copied() -> list[str]:
    """What the Dockerfile copies out of the checkout."""
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copies = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from=" not in line]
    return [name for names in copies for name in names]


def test_what_the_image_is_built_from_is_enough(tmp_path: Path) -> None:
    """The wheel builds from the files that the Dockerfile copies, and from nothing else."""
    for name in copied():
        source, target = ROOT / name, tmp_path / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "made")]
    done = subprocess.run(command, cwd=tmp_path / "source", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.suffix for path in (tmp_path / "made").iterdir()] == [".whl"]


def test_the_entrypoint_runs_what_it_is_given() -> None:
    """Charts give it a command, which takes its place."""
    entrypoint = DEPLOY / "entrypoint.sh"
    assert os.access(entrypoint, os.X_OK)
    done = subprocess.run([entrypoint, "sh", "-c", "exit 7"], check=False)
    assert done.returncode == 7


def test_the_entrypoint_serves_when_given_nothing(tmp_path: Path) -> None:
    """Without a command it starts the server, found on the path."""
    program = tmp_path / "prefect-kernel"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([DEPLOY / "entrypoint.sh"], env=path, capture_output=True, text=True, check=True)
    assert done.stdout == "server start\n"
