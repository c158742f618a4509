"""A lock between processes: a file that exists while it is held and holds its owner's process id.

Prefect locks the same directory in the same way, so both may use it at once.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RETRY_SECONDS = 0.01
ABANDONED_SECONDS = 5
"""After this time a lock file without a process id belongs to a process that died while it made the file."""


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock; waits for it in the calling thread, and takes over one whose owner is dead."""
    while not _claim(path):
        _drop_if_abandoned(path)
        time.sleep(RETRY_SECONDS)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _claim(path: Path) -> bool:
    """Make the lock file, with its content, in one step; False when it exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".lock_")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(str(os.getpid()))
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            return _claim_without_link(path)
        return True
    finally:
        temporary.unlink()


def _claim_without_link(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        file.write(str(os.getpid()))
    return True


def _drop_if_abandoned(path: Path) -> None:
    try:
        seen = path.stat()
        owner = path.read_text().strip()
        if owner.isdigit():
            abandoned = not _alive(int(owner))
        else:
            abandoned = time.time() - seen.st_mtime > ABANDONED_SECONDS
        # Somebody else may have taken it over between the look and now: then it is another file.
        if abandoned and path.stat().st_ino == seen.st_ino:
            path.unlink()
    except FileNotFoundError:
        return


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it lives, and belongs to somebody else
        return True
    return True
