"""Schedules that can be read but hardly be evaluated, odd dates, and queues that cannot be deleted."""

from __future__ import annotations

from ..script import Script, sequence
from ._make import flow
from .deployments import deploy
from .work_pools import pool

GROUP = "deployments"


@sequence
def anchor_dates(s: Script) -> None:
    """Anchors in all the ways in which one may write a date, and in some in which one may not."""
    made = deploy(s)
    for anchor in (
        "2026-01-01", "2026-01-01T00:00", "2026-01-01 00:00:00", "2026-01-01T00:00:00+02:00", "20260101T000000Z",
        "2026-W01-1", "2026-001", "2026-01-01T00:00:00.123456789Z", "2026-01", "2026", "1767225600", 1767225600,
        1767225600.5, "01/02/2026", "Jan 1 2026", "now", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z", "", None,
        "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    ):  # fmt: skip
        s.post(f"/deployments/{made['id']}/schedules", [{"schedule": {"interval": 3600, "anchor_date": anchor}}])


@sequence
def crons_by_chance(s: Script) -> None:
    """Fields that croniter draws by chance, and such as it calculates from a name."""
    made = deploy(s)
    for cron in (
        "R * * * *", "R/5 * * * *", "R(0-9) * * * *", "r(0-9)/3 * * * *", "H * * * *", "h/5 * * * *", "R R * * *",
        "R(9-0) * * * *", "R/0 * * * *", "* * * * R(1-3)",
    ):  # fmt: skip
        added = s.post(f"/deployments/{made['id']}/schedules", [{"schedule": {"cron": cron}}])
        s.get(f"/deployments/{made['id']}/schedules", ignore=("body",))
    del added


CRONS = (
    "0 0 15W * *", "0 0 W15 * *", "0 0 L * *", "0 0 l,10 * *", "0 0 * * L5", "0 0 * * fri#2", "0 0 * * fri#2,mon#1",
    "0 0 * * fri#2,mon", "0 0 * * fri#6", "0 0 ? * ?", "0 0 * JAN-mar/2 Mon-FRI", "0 22-2 * * *", "0 0 * * fri-tue",
    "0 0 * nov-feb *", "5/20 * * * *", "*/70 * * * *", "0-59/7 3 * * *", "0 0 29 2 *", "0 0 1 * 1", "0 0 * * 7",
    "0 0 * * 0,7", "* * * * * 15", "* * * * * */30", "0 0 1 1 * 0 2031-2033", "0 0 1 1 * 0 1969", "@daily", "@reboot",
    "@weekly", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "1,,2 * * * *", "* * * *", "", " ",
    "*\t*  * * *", "1-5-9 * * * *", "-1 * * * *", "1.5 * * * *", "a * * * *", "* * * * *;", "0 2 * * *", "30 1 * * *",
)  # fmt: skip


@sequence(independent=True)
def crons(s: Script) -> None:
    """Expressions of all kinds: which are taken, and the dates of those around a change of clocks."""
    of = flow(s)
    for number, cron in enumerate(CRONS):
        zone, day_or = (("America/New_York", True), ("Europe/Berlin", False))[number % 2]
        made = deploy(s, of)
        schedule = {"cron": cron, "timezone": zone, "day_or": day_or}
        s.post(f"/deployments/{made['id']}/schedules", [{"schedule": schedule}])
        asked = {"start_time": "2031-03-08T23:30:00Z", "end_time": "2036-12-31T00:00:00Z", "min_runs": 4}
        s.post(f"/deployments/{made['id']}/schedule", {**asked, "max_runs": 4, "min_time": 0})
        mine = {"deployments": {"id": {"any_": [made["id"]]}}, "sort": "EXPECTED_START_TIME_ASC"}
        s.post("/flow_runs/filter", mine)


@sequence(independent=True)
def never_to_come(s: Script) -> None:
    """Runs are asked for of schedules that have no dates, or cannot be evaluated."""
    for schedule in (
        # Rules that never come, such as INTERVAL=0, keep Python Prefect busy for minutes: they are not for here.
        {"cron": "0 0 30 2 *"}, {"rrule": "DTSTART:20200101T000000\nFREQ=DAILY;COUNT=3"}, {"cron": "0 0 31 4,6 *"},
        {"rrule": "FREQ=DAILY;UNTIL=20200101T000000"},
    ):  # fmt: skip
        made = deploy(s, schedules=[{"schedule": schedule}])
        s.post(f"/deployments/{made['id']}/schedule", {"start_time": "2031-05-01T00:30:00Z", "max_runs": 3})
        s.post("/flow_runs/count", {"deployments": {"id": {"any_": [made["id"]]}}})


@sequence
def default_queues(s: Script) -> None:
    """The default queue of a pool, deleted by its id and by its name."""
    path = pool(s)
    queue = s.get(f"{path}/queues/default")
    s.delete(f"{path}/queues/default")
    s.delete(f"/work_queues/{queue['id']}")
    s.get(f"{path}/queues/default")
    s.get(path)
