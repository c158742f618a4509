"""Compares the rows that a case left in both databases.

Which rows belong to a case is known from the ids that its answers held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .databases import Database, Row
from .matcher import Difference, Matcher

# Tables whose rows are found by their own id.
BY_ID = (
    "flow", "flow_run", "task_run", "deployment", "deployment_schedule", "work_pool", "work_queue", "worker",
    "concurrency_limit", "concurrency_limit_v2", "variable", "artifact_collection", "saved_search", "block_type",
    "block_schema", "block_document", "automation",
)  # fmt: skip
# Tables whose rows belong to another row: (table, column, order).
CHILDREN = (
    ("flow_run_state", "flow_run_id", "timestamp, name"),
    ("task_run_state", "task_run_id", "timestamp, name"),
    ("artifact", "flow_run_id", "created, key"),
    ("artifact", "task_run_id", "created, key"),
    ("flow_run_input", "flow_run_id", "key"),
    ("log", "flow_run_id", "timestamp, message"),
    ("log", "task_run_id", "timestamp, message"),
    ("task_run", "flow_run_id", "task_key, dynamic_key"),
    ("deployment_schedule", "deployment_id", "created, slug"),
)
# Tables that servers fill at their start, which is not the same moment: their rows' times are compared in answers only.
FILLED_AT_START = ("block_type", "block_schema")
# Tables with rows that cases share, such as the pool of agents: what made them was not the same moment, either.
SHARED = ("work_pool", "work_queue")
OWNERS = {"flow_run_id": "flow_run", "task_run_id": "task_run", "deployment_id": "deployment"}


def compare_rows(matcher: Matcher, reference: Database, kernel: Database, start: datetime) -> list[Difference]:
    """The differences between the rows that belong to the ids the matcher has seen in a case that began at `start`."""
    began = start.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    pairs = dict(matcher.ids)
    found: list[Difference] = []
    owners: dict[str, list[tuple[str, str]]] = {}
    for table in BY_ID:
        if not pairs:
            break
        ours = _by(reference.select(table, {"id": list(pairs)}), "id")
        theirs = _by(kernel.select(table, {"id": list(pairs.values())}), "id")
        for one, other in pairs.items():
            if one not in ours and other not in theirs:
                continue
            owners.setdefault(table, []).append((one, other))
            if table in FILLED_AT_START:
                ours[one], theirs[other] = _timeless(ours.get(one, [])), _timeless(theirs.get(other, []))
            elif table == "block_document":
                ours[one], theirs[other] = _sealed(ours.get(one, [])), _sealed(theirs.get(other, []))
            elif table in SHARED and _older(began, ours.get(one, []), theirs.get(other, [])):
                ours[one], theirs[other] = _timeless(ours.get(one, [])), _timeless(theirs.get(other, []))
            found += matcher.compare(f"rows.{table}", ours.get(one, []), theirs.get(other, []))
    for table, column, order in CHILDREN:
        owned = owners.get(OWNERS[column], [])
        if not owned:
            continue
        ours = _by(reference.select(table, {column: [one for one, _ in owned]}, order), column)
        theirs = _by(kernel.select(table, {column: [other for _, other in owned]}, order), column)
        for one, other in owned:
            found += matcher.compare(f"rows.{table}", ours.get(one, []), theirs.get(other, []))
    return found


def _older(began: str, *rows: Sequence[Mapping[str, Any]]) -> bool:
    return all(row["created"] < began for side in rows for row in side)


def _timeless(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in ("created", "updated")} for row in rows]


def _sealed(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Documents with the length of their encrypted data: the data itself is never the same twice."""
    return [{**row, "data": f"{len(row['data'])} characters"} for row in rows]


def _by(rows: Sequence[Row], column: str) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(row[column], []).append(row)
    return grouped
