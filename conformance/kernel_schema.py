"""Render the kernel's own migrations into the SQL files from which new databases are made.

python -m conformance.kernel_schema
"""

from __future__ import annotations

from prefect_kernel_plugins.schema.kernel_sql import render

from .schema_dump import SCHEMA, write

HEADER = """\
-- The kernel_… tables on {dialect}: `kernel_migrations` from its beginning to its head.
-- Written by `python -m conformance.kernel_schema`; not to be edited. A blank line ends each statement.

"""


def kernel_ddl(dialect: str) -> str:
    """The statements, as one transaction can run them: on empty tables nothing need be concurrent."""
    statements = (s.replace(" CONCURRENTLY ", " ") for s in render(dialect, None, in_transaction=True))
    return HEADER.format(dialect=dialect) + "".join(f"{statement};\n\n" for statement in statements)


if __name__ == "__main__":
    for name in ("sqlite", "postgresql"):
        write(SCHEMA / f"kernel_{name}.sql", kernel_ddl(name))
