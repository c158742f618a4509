"""Arguments of statements that run once per row of parameters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_kernel.sql import Statement
from prefect_kernel.sql.types import JSON, POSTGRESQL, SQLITE, Timestamp

_table = sa.Table("things", sa.MetaData(), sa.Column("what", JSON()), sa.Column("at", Timestamp()), sa.Column("n"))
_INSERT = Statement(
    sa.insert(_table).values(
        {name: sa.bindparam(name, type_=_table.c[name].type) for name in ("what", "at")} | {"n": sa.bindparam("n")}
    )
)


@pytest.mark.parametrize("dialect", [SQLITE, POSTGRESQL])
def test_rows_are_encoded_as_each_by_itself(dialect: str) -> None:
    """What rows share is encoded once; null, and what comes in between, is told apart."""
    shared: dict[str, Any] = {"a": [1, None]}
    now = datetime(2030, 1, 1, tzinfo=UTC)
    rows: list[dict[str, Any]] = [
        {"what": shared, "at": now, "n": 1},
        {"what": shared, "at": now, "n": 2},
        {"what": None, "at": now + timedelta(seconds=1), "n": None},
        {"what": shared, "at": now, "n": 3},
        {"what": {"a": [1, None]}, "at": None, "n": 4},
        {"what": 1, "at": now, "n": 5},
        {"what": True, "at": now, "n": 5},
    ]
    compiled = _INSERT.compiled(dialect)
    found = compiled.argument_rows(rows)
    assert found == [compiled.arguments(row) for row in rows]
    with pytest.raises(KeyError):
        compiled.argument_rows([{"what": 1, "at": now}])
