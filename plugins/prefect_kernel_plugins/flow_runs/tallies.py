"""Tallies: the numbers of a history of all flow runs, counted beforehand per minute, ten minutes and hour.

So the cost of a history depends on its intervals and not on how many runs there are. What rolls with the time is kept
as sums into which the time is put later: of the runs that go on how many they are and, added up, since when; likewise
of those that are overdue. Times are seconds (whole ones on SQLite, where the reference counts so), moments Unix time.

Triggers note the minutes that any write touches in `kernel_flow_run_stale` (see migration 0005). A minute noted there
is counted from the runs themselves, in the same snapshot; when many are, `refresh` makes their tallies anew. A crash
leaves notes and tallies as a transaction had them: never a tally that is wrong and not noted.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect_kernel.sql import Statement, Unit, by_dialect
from prefect_kernel.sql.types import SQLITE, timestamp_to_text
from prefect_kernel.transition import TERMINAL_STATES

SPANS = (3600, 600, 60)
"""Seconds that a tally is for; each divides the one before."""

MAX_STALE = 30
"""So many noted minutes are counted from the runs; more are refreshed first."""

REFRESHED_AT_ONCE = 720
"""Minutes in one transaction: bounds how long other writes wait."""

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TERMINAL = ", ".join(f"'{state_type}'" for state_type in sorted(TERMINAL_STATES))
_LOCK = 0x6B657274  # any number that other uses of advisory locks do not have


# ---------------------------------------------------------------- what is counted
def _sqlite_second(moment: str) -> str:
    return f"CAST(strftime('%s', {moment}) AS INTEGER)"


def _postgresql_second(moment: str) -> str:
    return f"EXTRACT(EPOCH FROM {moment})"


_OVERDUE = f"r.start_time IS NULL AND r.state_type NOT IN ({_TERMINAL})"
_SQLITE_LATENESS = (  # Julian days are exact to the millisecond
    "CASE WHEN r.start_time > r.expected_start_time THEN"
    " CAST((julianday(r.start_time) - julianday(r.expected_start_time)) * 86400.0 + 0.0005 AS INTEGER) ELSE 0 END"
)
_POSTGRESQL_LATENESS = (
    "CASE WHEN r.start_time > r.expected_start_time THEN"
    " EXTRACT(EPOCH FROM r.start_time - r.expected_start_time) ELSE 0 END"
)


def _counted(dialect: str) -> str:
    """The columns of a tally, from runs `r`; groups are made by the first two."""
    sqlite = dialect == SQLITE
    second = _sqlite_second if sqlite else _postgresql_second
    state_type = "r.state_type" if sqlite else "CAST(r.state_type AS TEXT)"
    total = second("r.total_run_time")
    run_time = f"max(0, {total})" if sqlite else f"greatest(0, {total})"
    running = f"CASE r.state_type WHEN 'RUNNING' THEN {second('r.state_timestamp')} ELSE 0 END"
    lateness = _SQLITE_LATENESS if sqlite else _POSTGRESQL_LATENESS
    since = f"CASE WHEN {_OVERDUE} THEN {second('r.expected_start_time')} ELSE 0 END"
    return (
        f"{state_type} AS state_type, r.state_name, count(*), coalesce(sum({run_time}), 0),"
        f" coalesce(sum({running}), 0), coalesce(sum({lateness}), 0),"
        f" coalesce(sum(CASE WHEN {_OVERDUE} THEN 1 ELSE 0 END), 0), coalesce(sum({since}), 0)"
    )


_COLUMNS = "state_type, state_name, runs, run_time, since, lateness, overdue, overdue_since"
_SUMS = "sum(runs), sum(run_time), sum(since), sum(lateness), sum(overdue), sum(overdue_since)"
_IN_STATE = "r.state_type IS NOT NULL AND r.state_name IS NOT NULL"
_SQLITE_AT = "strftime('%Y-%m-%d %H:%M:%S', {}, 'unixepoch') || '.000000'"


# ---------------------------------------------------------------- keeping tallies
_NOTED = Statement(
    by_dialect(
        sqlite="SELECT minute FROM kernel_flow_run_stale WHERE minute >= :first AND minute < :last"
        " ORDER BY minute LIMIT :number",
        postgresql="SELECT DISTINCT minute FROM kernel_flow_run_stale WHERE minute >= :first AND minute < :last"
        " ORDER BY minute LIMIT :number",
    )
)
_ALONE = Statement(
    by_dialect(sqlite="SELECT 1", postgresql=f"SELECT pg_advisory_xact_lock({_LOCK})"),
)
"""One refresh at a time, so that two do not insert the same tally (on SQLite writers are alone anyway)."""

_FORGET = Statement(
    by_dialect(
        sqlite="DELETE FROM kernel_flow_run_stale WHERE minute IN (SELECT value FROM json_each(:minutes))",
        postgresql="DELETE FROM kernel_flow_run_stale WHERE minute = ANY (CAST(:minutes AS BIGINT[]))",
    )
)
_CLEAR = Statement(
    by_dialect(
        sqlite="DELETE FROM kernel_flow_run_tally"
        " WHERE span = :span AND start IN (SELECT value FROM json_each(:starts))",
        postgresql="DELETE FROM kernel_flow_run_tally WHERE span = :span AND start = ANY (CAST(:starts AS BIGINT[]))",
    )
)
_COUNT_RUNS = Statement(
    by_dialect(
        sqlite=f"""
        INSERT INTO kernel_flow_run_tally (span, start, {_COLUMNS})
        SELECT 60, s.value, {_counted(SQLITE)} FROM json_each(:starts) AS s CROSS JOIN flow_run AS r
         WHERE r.expected_start_time >= {_SQLITE_AT.format("s.value")}
           AND r.expected_start_time < {_SQLITE_AT.format("s.value + 60")} AND {_IN_STATE}
         GROUP BY s.value, r.state_type, r.state_name""",
        postgresql=f"""
        INSERT INTO kernel_flow_run_tally (span, start, {_COLUMNS})
        SELECT 60, s, {_counted("postgresql")} FROM unnest(CAST(:starts AS BIGINT[])) AS s
          JOIN flow_run AS r
            ON r.expected_start_time >= to_timestamp(s) AND r.expected_start_time < to_timestamp(s + 60)
         WHERE {_IN_STATE} GROUP BY s, r.state_type, r.state_name""",
    )
)
_ADD_UP = Statement(
    by_dialect(
        sqlite=f"""
        INSERT INTO kernel_flow_run_tally (span, start, {_COLUMNS})
        SELECT :span, s.value, state_type, state_name, {_SUMS}
          FROM json_each(:starts) AS s CROSS JOIN kernel_flow_run_tally AS t
         WHERE t.span = :part AND t.start >= s.value AND t.start < s.value + :span
         GROUP BY s.value, state_type, state_name""",
        postgresql=f"""
        INSERT INTO kernel_flow_run_tally (span, start, {_COLUMNS})
        SELECT CAST(:span AS INTEGER), s, state_type, state_name, {_SUMS}
          FROM unnest(CAST(:starts AS BIGINT[])) AS s
          JOIN kernel_flow_run_tally AS t ON t.start >= s AND t.start < s + CAST(:span AS INTEGER)
         WHERE t.span = CAST(:part AS INTEGER) GROUP BY s, state_type, state_name""",
    )
)


def refresh(dialect: str, first: int, last: int) -> Unit[None]:
    """Count noted minutes from `first` to before `last` anew, and the longer spans that they are in."""
    yield _ALONE()
    rows = yield _NOTED(first=first, last=last, number=REFRESHED_AT_ONCE)
    minutes = [row[0] for row in rows]
    if not minutes:
        return

    def listed(values: Iterable[int]) -> Any:
        return json.dumps(list(values)) if dialect == SQLITE else list(values)

    yield _FORGET(minutes=listed(minutes))
    starts = listed(minute * 60 for minute in minutes)
    yield _CLEAR(span=60, starts=starts)
    yield _COUNT_RUNS(starts=starts)
    for span, part in ((600, 60), (3600, 600)):
        starts = listed(sorted({minute * 60 // span * span for minute in minutes}))
        yield _CLEAR(span=span, starts=starts)
        yield _ADD_UP(span=span, part=part, starts=starts)


# ---------------------------------------------------------------- reading
_SQLITE_ROWS = f"""
    WITH spans (slot, span, first, last) AS MATERIALIZED (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
               json_extract(value, '$[3]') FROM json_each(:spans)),
    pieces (slot, first, last) AS MATERIALIZED (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
          FROM json_each(:pieces))
    SELECT slot, state_type, state_name, sum(runs), total(run_time), total(lateness) FROM (
    SELECT s.slot, t.state_type, t.state_name, t.runs,
           t.run_time + CASE t.state_type WHEN 'RUNNING' THEN max(0, t.runs * :now - t.since) ELSE 0 END AS run_time,
           t.lateness + CASE WHEN t.start < :now THEN t.overdue * :now - t.overdue_since ELSE 0 END AS lateness
      FROM spans AS s CROSS JOIN kernel_flow_run_tally AS t
     WHERE t.span = s.span AND t.start >= s.first AND t.start < s.last
    UNION ALL
    SELECT s.slot, r.state_type, r.state_name, 1,
           max(0, {_sqlite_second("r.total_run_time")}) + CASE r.state_type WHEN 'RUNNING'
               THEN max(0, :now - {_sqlite_second("r.state_timestamp")}) ELSE 0 END,
           {_SQLITE_LATENESS} + CASE WHEN {_OVERDUE} AND r.expected_start_time < :moment
               THEN :now - {_sqlite_second("r.expected_start_time")} ELSE 0 END
      FROM pieces AS s CROSS JOIN flow_run AS r
     WHERE r.expected_start_time >= s.first AND r.expected_start_time < s.last AND {_IN_STATE}
    ) GROUP BY slot, state_type, state_name"""
_POSTGRESQL_ROWS = f"""
    WITH clock AS (SELECT EXTRACT(EPOCH FROM CAST(:moment AS TIMESTAMPTZ)) AS now)
    SELECT slot, state_type, state_name, CAST(sum(runs) AS BIGINT), CAST(sum(run_time) AS DOUBLE PRECISION),
           CAST(sum(lateness) AS DOUBLE PRECISION) FROM (
    SELECT s.slot, t.state_type, t.state_name, t.runs,
           t.run_time
             + CASE t.state_type WHEN 'RUNNING' THEN greatest(0, t.runs * now - t.since) ELSE 0 END AS run_time,
           t.lateness + CASE WHEN t.start < now THEN t.overdue * now - t.overdue_since ELSE 0 END AS lateness
      FROM clock, unnest(CAST(:intervals AS INTEGER[]), CAST(:spans AS INTEGER[]), CAST(:starts AS BIGINT[]),
                         CAST(:ends AS BIGINT[])) AS s (slot, span, first, last)
      JOIN kernel_flow_run_tally AS t ON t.span = s.span AND t.start >= s.first AND t.start < s.last
    UNION ALL
    SELECT s.slot, CAST(r.state_type AS TEXT), r.state_name, 1,
           greatest(0, {_postgresql_second("r.total_run_time")}) + CASE r.state_type WHEN 'RUNNING'
               THEN greatest(0, now - {_postgresql_second("r.state_timestamp")}) ELSE 0 END,
           {_POSTGRESQL_LATENESS} + CASE WHEN {_OVERDUE} AND r.expected_start_time < CAST(:moment AS TIMESTAMPTZ)
               THEN now - {_postgresql_second("r.expected_start_time")} ELSE 0 END
      FROM clock, unnest(CAST(:piece_intervals AS INTEGER[]), CAST(:piece_starts AS TIMESTAMPTZ[]),
                         CAST(:piece_ends AS TIMESTAMPTZ[])) AS s (slot, first, last)
      JOIN flow_run AS r ON r.expected_start_time >= s.first AND r.expected_start_time < s.last
     WHERE {_IN_STATE}
    ) AS counted GROUP BY slot, state_type, state_name"""
_ROWS = Statement(by_dialect(sqlite=_SQLITE_ROWS, postgresql=_POSTGRESQL_ROWS), raw=True)

Span = tuple[int, int, int, int]
"""(interval, seconds per tally, start of the first, end of the last)"""
Piece = tuple[int, int, int]
"""(interval, from, to) in microseconds: too short for a tally, or none is to be had."""


class _Cover:
    """Covers intervals with the longest tallies that fit, leaving out those that hold a blocked minute."""

    def __init__(self, blocked: Iterable[int]) -> None:
        minutes = sorted(set(blocked))
        self.blocked = {span: sorted({minute * 60 // span for minute in minutes}) for span in SPANS}
        self.spans: list[Span] = []
        self.pieces: list[Piece] = []

    def add(self, interval: int, low: int, high: int, level: int = 0) -> None:
        """Cover from `low` to before `high`, in microseconds."""
        if low >= high:
            return
        if level == len(SPANS):
            self.pieces.append((interval, low, high))
            return
        span = SPANS[level]
        unit = span * 1_000_000
        first, last = -(-low // unit), high // unit
        if first >= last:
            self.add(interval, low, high, level + 1)
            return
        self.add(interval, low, first * unit, level + 1)
        blocked = self.blocked[span]
        for hole in blocked[bisect_left(blocked, first) : bisect_left(blocked, last)]:
            self._take(interval, span, first, hole)
            self.add(interval, hole * unit, (hole + 1) * unit, level + 1)
            first = hole + 1
        self._take(interval, span, first, last)
        self.add(interval, last * unit, high, level + 1)

    def _take(self, interval: int, span: int, first: int, last: int) -> None:
        if first < last:
            self.spans.append((interval, span, first * span, last * span))


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def minutes(ends: Sequence[datetime]) -> tuple[int, int]:
    """The first minute that intervals touch, and the one after their last."""
    return _microseconds(ends[0]) // 60_000_000, -(-_microseconds(ends[-1]) // 60_000_000)


def history(dialect: str, ends: Sequence[datetime], now: datetime) -> Unit[list[Any] | None]:
    """(interval, state type, state name, runs, run time, lateness) of all flow runs; None when `refresh` is due.

    On PostgreSQL a write between the two statements may be counted in one part of the answer and not in another.
    """
    first, last = minutes(ends)
    noted = yield _NOTED(first=first, last=last, number=MAX_STALE + 1)
    if len(noted) > MAX_STALE:
        return None
    # In the present minute some runs are overdue and others not yet.
    cover = _Cover([*(row[0] for row in noted), _microseconds(now) // 60_000_000])
    bounds = [_microseconds(end) for end in ends]
    for interval in range(len(bounds) - 1):
        cover.add(interval, bounds[interval], bounds[interval + 1])
    rows: list[Any] = yield _ROWS.bind(_parameters(dialect, cover, now))
    return rows


def _parameters(dialect: str, cover: _Cover, now: datetime) -> dict[str, Any]:
    def moment(microseconds: int) -> datetime:
        return _EPOCH + timedelta(microseconds=microseconds)

    if dialect == SQLITE:
        pieces = [(i, timestamp_to_text(moment(low)), timestamp_to_text(moment(high))) for i, low, high in cover.pieces]
        return {
            "now": _microseconds(now) // 1_000_000,
            "moment": timestamp_to_text(now),
            "spans": json.dumps(cover.spans),
            "pieces": json.dumps(pieces),
        }
    intervals, spans, starts, ends = ([span[i] for span in cover.spans] for i in range(4))
    return {
        "moment": now,
        "intervals": intervals,
        "spans": spans,
        "starts": starts,
        "ends": ends,
        "piece_intervals": [piece[0] for piece in cover.pieces],
        "piece_starts": [moment(piece[1]) for piece in cover.pieces],
        "piece_ends": [moment(piece[2]) for piece in cover.pieces],
    }
