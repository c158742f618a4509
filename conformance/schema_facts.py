"""What a database consists of, as plain values that compare: read from the catalogs, not from any DDL text of ours.

Two databases with equal facts have equal tables, columns (in order), types, defaults, constraints, indexes, enums and
extensions. Tables and indexes named `kernel_…` are left out: they are ours, not Prefect's.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any

Facts = dict[str, Any]


def _one_line(sql: str | None) -> str | None:
    return None if sql is None else re.sub(r"\s+", " ", sql).strip()


def sorted_constraints(create_table: str) -> str:
    """A CREATE TABLE with its constraints by name: alembic's table copies leave them in an order of their own."""
    head, *constraints = re.split(r",\s*(?=CONSTRAINT )", create_table.rstrip().removesuffix(")").rstrip())
    return ", \n\t".join([head, *sorted(constraints)]) + "\n)"


def sqlite_facts(connection: sqlite3.Connection) -> Facts:
    """The facts of a SQLite database."""

    def query(sql: str, *args: Any) -> list[list[Any]]:
        return [list(row) for row in connection.execute(sql, args)]

    ours = " AND ".join(
        f"{column} NOT LIKE '{prefix}\\_%' ESCAPE '\\'"
        for column, prefix in (("name", "sqlite"), ("name", "kernel"), ("tbl_name", "kernel"))
    )
    tables: Facts = {}
    for name, sql in query(f"SELECT name, sql FROM sqlite_master WHERE type = 'table' AND {ours} ORDER BY name"):
        unique = []
        for index, is_unique, origin in query('SELECT name, "unique", origin FROM pragma_index_list(?)', name):
            if is_unique and origin != "c":  # "c" has a name of its own and is listed below
                columns = query("SELECT name FROM pragma_index_info(?) ORDER BY seqno", index)
                unique.append([origin, *(column for (column,) in columns)])
        tables[name] = {
            "columns": [
                [column, type_, bool(not_null), _one_line(default), primary_key]
                for column, type_, not_null, default, primary_key in query(
                    'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_xinfo(?) ORDER BY cid', name
                )
            ],
            "foreign_keys": sorted(
                query('SELECT "from", "table", "to", on_update, on_delete FROM pragma_foreign_key_list(?)', name)
            ),
            "unique": sorted(unique),
            "sql": _one_line(sorted_constraints(sql)),
        }
    others = query(
        f"SELECT type, name, tbl_name, sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL AND {ours}"
    )
    return {
        "tables": tables,
        "others": sorted([type_, name, table, _one_line(sql)] for type_, name, table, sql in others),
        "revision": query("SELECT version_num FROM alembic_version"),
    }


_IN_SCHEMA = "n.nspname = current_schema() AND c.relname NOT LIKE 'kernel\\_%'"

_PG_COLUMNS = f"""
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND {_IN_SCHEMA}
ORDER BY c.relname, a.attnum
"""
# NOT NULL is a fact of a column; PostgreSQL 18 and later list it among the constraints too.
_PG_CONSTRAINTS = f"""
SELECT c.relname, k.conname, pg_get_constraintdef(k.oid), k.condeferrable, k.convalidated
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype <> 'n' AND {_IN_SCHEMA}
ORDER BY 1, 2
"""
_PG_INDEXES = f"""
SELECT c.relname, i.relname, pg_get_indexdef(x.indexrelid), x.indisvalid
FROM pg_index x
JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_IN_SCHEMA} AND i.relname NOT LIKE 'kernel\\_%'
ORDER BY 1, 2
"""
_PG_ENUMS = """
SELECT t.typname, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = current_schema()
GROUP BY 1 ORDER BY 1
"""
_PG_OTHERS = f"""
SELECT c.relkind::text, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind NOT IN ('r', 'p', 'i', 'I', 't') AND {_IN_SCHEMA} ORDER BY 1, 2
"""


async def postgresql_facts(connection: Any) -> Facts:
    """The facts of the current schema of a PostgreSQL database (an asyncpg connection), without the schema's name."""
    schema = await connection.fetchval("SELECT quote_ident(current_schema())")

    def unqualified(cell: Any) -> Any:
        if isinstance(cell, str):
            # The extension may live in any schema: an operator class is named without it.
            cell = re.sub(r"[\w\"]+\.(gin_trgm_ops)", r"\1", cell)
            return cell.replace(f"{schema}.", "")
        return cell

    async def query(sql: str) -> list[list[Any]]:
        return [[unqualified(cell) for cell in row] for row in await connection.fetch(sql)]

    return {
        "columns": await query(_PG_COLUMNS),
        "constraints": await query(_PG_CONSTRAINTS),
        "indexes": await query(_PG_INDEXES),
        "enums": await query(_PG_ENUMS),
        "others": await query(_PG_OTHERS),
        "extensions": await query("SELECT extname::text FROM pg_extension ORDER BY 1"),
        "revision": await query("SELECT version_num::text FROM alembic_version"),
    }
