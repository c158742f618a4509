"""Random schedules have the dates that Python Prefect 3.8.8 finds for them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import zoneinfo
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from prefect_kernel_plugins.schedules.dates import Unevaluable, dates
from prefect_kernel_plugins.schedules.models import CronSchedule, IntervalSchedule, RRuleSchedule

_SCRIPT = """
import datetime, json, sys
from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
out = []
for schedule, n, start, end in json.load(sys.stdin):
    kind = IntervalSchedule if "interval" in schedule else CronSchedule if "cron" in schedule else RRuleSchedule
    moment = datetime.datetime.fromisoformat
    found = []
    try:
        made = kind(**schedule)
    except Exception as error:
        out.append([one["msg"] for one in error.errors()])
        continue
    try:
        for date in made._get_dates_generator(n=n, start=moment(start), end=moment(end)):
            found.append(str(date))
    except Exception:
        found.append("error")
    out.append(found)
json.dump(out, sys.stdout)
"""
CASES = int(os.environ.get("PREFECT_KERNEL_SCHEDULE_CASES", "200"))
SEED = int(os.environ.get("PREFECT_KERNEL_SCHEDULE_SEED", "20261121"))
ONLY = os.environ.get("PREFECT_KERNEL_SCHEDULE_KIND")
"""cron, interval or rrule; all kinds unless it is said."""
_KINDS: dict[str, type[BaseModel]] = {"cron": CronSchedule, "interval": IntervalSchedule, "rrule": RRuleSchedule}
KINDS = list(_KINDS)
ZONES = sorted(
    name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith(("posix", "right"))
)


pytestmark = [pytest.mark.reference, pytest.mark.timeout(300 + CASES)]


CHANGING = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca",
            "Pacific/Chatham", "America/St_Johns", "Antarctica/Troll", "Asia/Beirut", "America/Havana"]  # fmt: skip
DAYS, MONTHS = "sun mon tue wed thu fri sat".split(), "jan feb mar apr may jun jul aug sep oct nov dec".split()


def _item(rng: random.Random, low: int, high: int, names: list[str]) -> str:
    def value() -> str:
        number = rng.randint(low, high)
        name = names[number - low] if names and rng.random() < 0.4 else str(number)
        return name.upper() if rng.random() < 0.3 else name

    step = rng.randint(1, max(2, high // 3))
    return rng.choice(["*", value(), f"*/{step}", f"{value()}-{value()}", f"{value()}-{value()}/{step}"])


def _field(rng: random.Random, low: int, high: int, names: Sequence[str] = ()) -> str:
    if rng.random() < 0.3:
        return "*"
    return ",".join(_item(rng, low, high, list(names)) for _ in range(rng.choice([1, 1, 2, 3])))


def _cron(rng: random.Random) -> str:
    """Five fields, six or seven, mostly good."""
    if rng.random() < 0.03:
        return rng.choice(["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@reboot"])
    day = rng.randint(1, 28)
    second = f"{rng.choice(DAYS)}#{rng.randint(1, 5)}"
    fields = [
        _field(rng, 0, 59),
        _field(rng, 0, 23),
        rng.choice(["*", "?", "L", f"l,{day}", f"{day}W", *[_field(rng, 1, 31)] * 6]),
        _field(rng, 1, 12, MONTHS),
        rng.choice(["*", "?", "l5", "0#6", second, f"{second},fri#1", f"{second},fri", *[_field(rng, 0, 6, DAYS)] * 6]),
    ]
    if rng.random() < 0.2:
        fields.append(_field(rng, 0, 59))
        if rng.random() < 0.3:
            fields.append(rng.choice(["*", "2026-2030", "2027/2", "2030,2026"]))
    if rng.random() < 0.02:
        fields[rng.randrange(len(fields))] = rng.choice(["60", "-1", "x", "*/0", "5-", "R", "h", "1.5", "*-5", "1,,2"])
    return " ".join(fields)


def _near_a_change(start: datetime, zone: str) -> datetime:
    """A moment within a day of the next change of clocks, if there is one within a year."""
    place = zoneinfo.ZoneInfo(zone)
    for days in range(366):
        moment = start + timedelta(days=days)
        if moment.astimezone(place).utcoffset() != (moment + timedelta(days=1)).astimezone(place).utcoffset():
            return moment
    return start


def _schedule(rng: random.Random) -> dict[str, Any]:
    zone, kind = rng.choice(rng.choice([ZONES, CHANGING])), KINDS.index(ONLY) if ONLY else rng.randrange(3)
    if kind == 0:
        return {"cron": _cron(rng), "timezone": zone, "day_or": rng.random() < 0.7}
    anchor = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(10**8))
    if kind == 1:
        seconds = rng.choice([900.0, 3600.0, 86400.0, 604800.0, float(rng.randint(60, 10**6)), rng.uniform(60, 10**6)])
        return {"interval": round(seconds, 6), "anchor_date": anchor.isoformat(), "timezone": zone}
    return {"rrule": _rules(rng, anchor), "timezone": zone}


def _rule(rng: random.Random) -> str:
    # Rules by hours are few and those by minutes none: the reference walks them all the way from their start.
    frequency = rng.choice(["YEARLY", "MONTHLY", "WEEKLY", "DAILY"] * 4 + ["HOURLY"])
    interval = rng.randint(1, 4) if frequency != "HOURLY" else rng.randint(5, 50)
    parts = [f"FREQ={frequency}", f"INTERVAL={interval}"]
    chances = {
        "BYMONTH=3,10,11": 0.2,
        f"BYMONTHDAY={rng.choice(['1,15,31', '-1', '-5,2', '29', '30'])}": 0.2,
        f"BYDAY={rng.choice(['MO,SU', 'TU', 'MO,TU,WE,TH,FR', 'SA'])}": 0.25,
        f"BYHOUR={rng.choice(['2,9', '1', '0,23', '2'])}": 0.2,
        f"BYMINUTE={rng.choice(['0,30', '15', '59'])}": 0.15,
        f"WKST={rng.choice(['SU', 'MO', 'WE'])}": 0.2,
    }
    if frequency in ("YEARLY", "MONTHLY"):
        chances[f"BYDAY={rng.choice(['1MO', '-1FR', '2SU,3TU', '+5WE'])}"] = 0.2
        chances[f"BYSETPOS={rng.choice(['1', '-1', '2,-2'])}"] = 0.15
    if frequency == "YEARLY":
        chances[f"BYYEARDAY={rng.choice(['1,100,200', '-1', '366'])}"] = 0.1
        chances[f"BYWEEKNO={rng.choice(['1,20', '-1', '53'])}"] = 0.1
        chances[f"BYEASTER={rng.choice(['0', '-2', '49'])}"] = 0.05
    chosen = [part for part, chance in chances.items() if rng.random() < chance]
    names = [part.split("=")[0] for part in chosen]
    parts += [part for part, name in zip(chosen, names, strict=True) if names.count(name) == 1]
    if rng.random() < 0.25:
        parts.append(rng.choice(["COUNT=30", "COUNT=3000", "UNTIL=20290101T000000", "UNTIL=20330615T120000"]))
    return ";".join(parts)


def _rules(rng: random.Random, anchor: datetime) -> str:
    """One rule, or a set of them with dates of its own and dates left out."""
    lines = [f"DTSTART:{anchor:%Y%m%dT%H%M%S}", f"RRULE:{_rule(rng)}"]
    if rng.random() < 0.3:
        lines.append(f"RRULE:{_rule(rng)}")
    if rng.random() < 0.15:
        lines.append(f"EXRULE:{_rule(rng)}")
    for name in ("RDATE", "EXDATE"):
        if rng.random() < 0.2:
            moments = [anchor + timedelta(days=rng.randrange(4000), hours=rng.randrange(24)) for _ in range(3)]
            lines.append(f"{name}:" + ",".join(f"{moment:%Y%m%dT%H%M%S}" for moment in moments))
    return "\n".join(lines)


def test_same_dates(reference_python: Path) -> None:
    """No schedule of the sample differs, at starts anywhere in ten years, often near a change of clocks."""
    rng = random.Random(SEED)
    jobs: list[tuple[dict[str, Any], int, str, str]] = []
    for _ in range(CASES):
        start = datetime(rng.randint(2025, 2034), rng.choice([1, 3, 4, 7, 9, 10, 11]), rng.randint(1, 28), tzinfo=UTC)
        start += timedelta(seconds=rng.randrange(86400), microseconds=rng.choice([0, 5]))
        end = start + timedelta(days=rng.choice([3, 40, 400]))
        schedule = _schedule(rng)
        if rng.random() < 0.3:
            start = _near_a_change(start, schedule["timezone"])
            end = start + timedelta(days=rng.choice([3, 40]))
        jobs.append((schedule, rng.choice([3, 40]), start.isoformat(), end.isoformat()))
    answer = subprocess.run(
        [str(reference_python), "-c", _SCRIPT], input=json.dumps(jobs), capture_output=True, text=True, check=True
    )
    theirs = json.loads(answer.stdout)
    for (schedule, n, begin, until), expected in zip(jobs, theirs, strict=True):
        found = []
        try:
            _KINDS[next(kind for kind in KINDS if kind in schedule)].model_validate(schedule)
            for date in dates(schedule, n, datetime.fromisoformat(begin), datetime.fromisoformat(until)):
                found.append(str(date))  # noqa: PERF401 - what was found before an error counts
        except Unevaluable:
            found.append("error")
        except ValidationError as error:
            found = [one["msg"] for one in error.errors()]
        if expected == ["error"] and "EXRULE" in schedule.get("rrule", ""):
            # Where all dates are left out, the reference walks on to the year 10000 and fails over that.
            assert found in ([], expected), (schedule, begin, until)
        else:
            assert found == expected, (schedule, begin, until)


def test_far_from_the_start() -> None:
    """A rule by seconds from the year 1 is not walked from there."""
    start = datetime(2030, 1, 1, 12, 0, 0, 5, tzinfo=UTC)
    rule = {"rrule": "DTSTART:00010101T000000\nRRULE:FREQ=SECONDLY;INTERVAL=7", "timezone": "UTC"}
    first, second = dates(rule, 2, start, start + timedelta(days=1))
    assert second - first == timedelta(seconds=7)
    assert start <= first < start + timedelta(seconds=7)
