"""Rendering `kernel_migrations` to SQL. Imports alembic, a tenth of a second; new databases do without."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

HERE = Path(__file__).parent


class _Statements(list[str]):
    """A file to alembic, which writes one statement at a time."""

    def write(self, text: str) -> None:
        # The version that was just inserted is asked for, and read by nobody.
        statement = text.strip().removesuffix(";").split(" RETURNING kernel_alembic_version")[0]
        if statement and not statement.startswith("--"):
            self.append(statement.removesuffix(" RETURNING version_num"))

    def flush(self) -> None:
        """Nothing is held back."""


def configuration() -> Config:
    """Where alembic finds the chain of migrations."""
    config = Config()
    config.set_main_option("script_location", str(HERE / "kernel_migrations").replace("%", "%%"))
    return config


def render(dialect: str, current: str | None, *, in_transaction: bool) -> list[str]:
    """The statements that bring the kernel's tables from a revision (None: there are none) to the head.

    With `in_transaction` the caller has begun one and ends it; without, BEGIN and COMMIT are among the statements.
    """
    statements, config = _Statements(), configuration()
    config.attributes.update(dialect_name=dialect, output_buffer=statements, transactional_ddl=not in_transaction)
    command.upgrade(config, f"{current}:head" if current else "head", sql=True)
    return list(statements)
