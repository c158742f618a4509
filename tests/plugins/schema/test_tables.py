"""The tables that the slices declare are those of the database."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest
import sqlalchemy as sa

import prefect_kernel_plugins
from prefect_kernel.sql import metadata, types

from .databases import Database, PostgresDatabase

importlib.import_module("prefect_kernel.events")
importlib.import_module("prefect_kernel.migrations")
importlib.import_module("prefect_kernel_plugins.audit.table")
for module in pkgutil.iter_modules(prefect_kernel_plugins.__path__, "prefect_kernel_plugins."):
    if module.ispkg and importlib.util.find_spec(f"{module.name}.tables"):
        importlib.import_module(f"{module.name}.tables")

UNDECLARED = {
    "alembic_version",
    "kernel_alembic_version",
    "deployment_version",
    "kernel_flow_run_count",
    "kernel_flow_run_stale",
    "kernel_flow_run_tally",
}
"""In the database, and read by nobody as a table of a slice (the last three in SQL text, by `flow_runs`)."""

NAMES = {
    types.UUID: ("CHAR(36)", "uuid"),
    types.Timestamp: ("DATETIME", "timestamp with time zone"),
    types.Interval: ("DATETIME", "interval"),
    types.Bool: ("BOOLEAN", "boolean"),
    types.Prose: ("VARCHAR", "character varying"),
    sa.String: ("VARCHAR", "character varying"),
    sa.Text: ("TEXT", "text"),
    sa.SmallInteger: ("SMALLINT", "smallint"),
    sa.Integer: ("INTEGER", "integer"),
    sa.BigInteger: ("INTEGER", "bigint"),
    sa.Float: ("FLOAT", "double precision"),
}


def name_of(type_: sa.types.TypeEngine[object], dialect: str) -> str:
    """What a declared type is called in the database."""
    if isinstance(type_, types.JSON):
        return "JSON" if dialect == "sqlite" else "jsonb" if type_.binary else "json"
    if isinstance(type_, types.Enum):
        return "VARCHAR" if dialect == "sqlite" else type_.name
    return NAMES[type(type_)][dialect == "postgresql"]


@pytest.mark.asyncio
async def test_declared_tables(database: Database) -> None:
    """Every table has exactly the declared columns, with their types, nullability and primary key."""
    await database.upgrade()
    found = {
        # SQLite ignores the length of an enumeration's column, which is older than its longest label.
        table: sorted((name, re.sub(r"^VARCHAR\(\d\)$", "VARCHAR", type_), *rest) for name, type_, *rest in columns)
        for table, columns in (await database.columns()).items()
    }
    declared = {
        table.name: sorted(
            (column.name, name_of(column.type, database.dialect), bool(column.nullable), column.primary_key)
            for column in table.columns
        )
        for table in metadata.sorted_tables
        if table.name in found
    }
    found = {name: columns for name, columns in found.items() if name not in UNDECLARED | {"sqlite_sequence"}}
    assert declared == found


@pytest.mark.asyncio
async def test_declared_labels(postgres_url: str) -> None:
    """Enumerations have the labels of PostgreSQL's types, in their order."""
    database = await PostgresDatabase.open(postgres_url)
    await database.upgrade()
    enums = (await database.facts())["enums"]
    await database.close()
    declared = {
        column.type.name: list(column.type.labels)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, types.Enum)
    }
    assert sorted([name, labels] for name, labels in declared.items()) == enums
