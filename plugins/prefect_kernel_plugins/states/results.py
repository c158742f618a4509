"""Results: the data of a state, kept as an artifact row that the state refers to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefect_kernel.sql import Statement

from ..artifacts.tables import artifact

_COLUMNS = "id created updated key type data task_run_id flow_run_id description".split()

INSERT_RESULT = Statement(
    sa.insert(artifact).values({name: sa.bindparam(name, type_=artifact.c[name].type) for name in _COLUMNS})
)


def result_values(
    id: str, data: Any, now: datetime, *, flow_run_id: str | None, task_run_id: str | None = None
) -> dict[str, Any]:
    """The artifact row of a result.

    `artifact_key`, `artifact_type` and `artifact_description` are taken out of the data, in place, and become columns.
    """
    row: dict[str, Any] = {"key": None, "type": None, "description": None}
    if isinstance(data, dict):
        for column in row:
            row[column] = data.pop(f"artifact_{column}", None) or None
    return {
        **row,
        "id": id,
        "created": now,
        "updated": now,
        "data": data,
        "task_run_id": task_run_id,
        "flow_run_id": flow_run_id,
    }
