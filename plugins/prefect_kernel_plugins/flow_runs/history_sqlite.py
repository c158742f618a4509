"""The history of all flow runs on SQLite, without sorting them.

Grouping makes SQLite sort every run of the period. Here each group (an interval, a state) is a range of a covering
index (`kernel_ix_flow_run__history`) instead, summed where it stands; the states are found by skipping through it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from prefect_kernel.sql import Statement
from prefect_kernel.sql.types import Timestamp, timestamp_to_text
from prefect_kernel.transition import TERMINAL_STATES

_TERMINAL = ", ".join(f"'{state_type}'" for state_type in sorted(TERMINAL_STATES))


def _seconds(days: str) -> str:
    """Whole seconds of a difference of Julian days, which are exact to the millisecond (the reference sums these)."""
    return f"max(0, CAST(({days}) * 86400.0 + 0.0005 AS INTEGER))"


_RUN_TIME = _seconds(
    "julianday(r.total_run_time) - 2440587.5"
    " + CASE WHEN r.state_type = 'RUNNING' THEN julianday(:now) - julianday(r.state_timestamp) ELSE 0.0 END"
)
_LATE = _seconds("julianday(r.start_time) - julianday(r.expected_start_time)")
_OVERDUE = _seconds("julianday(:now) - julianday(r.expected_start_time)")

HISTORY = Statement(
    sa.text(f"""
    WITH RECURSIVE states (type, name) AS (
        SELECT * FROM (
            SELECT state_type, state_name FROM flow_run WHERE state_type > '' AND state_name > ''
             ORDER BY state_type, state_name LIMIT 1)
        UNION ALL
        SELECT r.state_type, r.state_name FROM states AS s CROSS JOIN flow_run AS r
         WHERE r.rowid = coalesce(
            (SELECT f.rowid FROM flow_run AS f WHERE f.state_type = s.type AND f.state_name > s.name
              ORDER BY f.state_name LIMIT 1),
            (SELECT f.rowid FROM flow_run AS f WHERE f.state_type > s.type AND f.state_name > ''
              ORDER BY f.state_type, f.state_name LIMIT 1)))
    SELECT i.key, s.type, s.name, (
        SELECT printf('%d %d %d', count(*), total({_RUN_TIME}),
                      total(CASE WHEN r.start_time > r.expected_start_time THEN {_LATE}
                                 WHEN r.start_time IS NULL AND r.state_type NOT IN ({_TERMINAL})
                                      AND r.expected_start_time < :now THEN {_OVERDUE}
                                 ELSE 0 END))
          FROM flow_run AS r
         WHERE r.state_type = s.type AND r.state_name = s.name
           AND r.expected_start_time >= json_extract(i.value, '$[0]')
           AND r.expected_start_time < json_extract(i.value, '$[1]'))
      FROM json_each(:intervals) AS i CROSS JOIN states AS s""").bindparams(sa.bindparam("now", type_=Timestamp())),
    raw=True,
)
"""(number of the interval, state type, state name, "runs run_time lateness"), times in seconds; empty ones too."""


def parameters(ends: Sequence[datetime], now: datetime) -> dict[str, Any]:
    """The parameters of HISTORY."""
    stored = [timestamp_to_text(end) for end in ends]
    return {"now": now, "intervals": json.dumps(list(pairwise(stored)))}


def unpacked(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """The rows of HISTORY that count a run, as those of the other histories."""
    return [(i, kind, name, *map(int, sums.split())) for i, kind, name, sums in rows if not sums.startswith("0 ")]
