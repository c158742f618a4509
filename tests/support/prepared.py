"""Databases that have the schema already: copies of one that a kernel has made.

Making the schema takes longer than most tests; only tests of the schema itself need to see it made.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from prefect_kernel.testing import KernelUnderTest

from .services import Postgres, database_name


class Prepared:
    """The database that is copied, on each database system; made when it is first asked for."""

    def __init__(self, directory: Path, postgres: Postgres) -> None:
        self._directory, self._postgres = directory, postgres
        self._file: Path | None = None
        self._database: str | None = None

    def sqlite(self, directory: Path) -> str:
        """The URL of a copy in a directory."""
        if self._file is None:
            home = self._directory / "sqlite"
            with KernelUnderTest.opened(home, (), "sqlite", {}):
                pass
            self._file = home / "kernel.db"
        copy = directory / "kernel.db"
        shutil.copyfile(self._file, copy)
        return f"sqlite+aiosqlite:///{copy}"

    def postgresql(self) -> str:
        """The URL of a copy, which the caller drops."""
        if self._database is None:
            url = self._postgres.create_database()
            with KernelUnderTest.opened(self._directory / "postgresql", (), url, {}):
                pass
            self._database = url
        return self._postgres.create_database(template=database_name(self._database))

    def close(self) -> None:
        """Drop what was made."""
        if self._database is not None:
            self._postgres.drop_database(self._database)
