"""Two servers on one database, both with the scheduler on: no date has two runs, and none is missing.

PREFECT_KERNEL_SCHEDULER_DAYS=30 with PREFECT_KERNEL_SCHEDULER_DEPLOYMENTS=200 is the full size.
"""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.deployments.tables import deployment, deployment_schedule
from prefect_kernel_plugins.flow_runs.tables import flow_run
from prefect_kernel_plugins.schedules.dates import dates

from .rows import deploy, runs, write

pytestmark = pytest.mark.timeout(3600)

KINDS: list[dict[str, Any]] = [
    {"cron": "0 */6 * * *", "timezone": "Europe/Berlin", "day_or": True},
    {"interval": 43200.0, "anchor_date": "2030-01-01T00:30:00Z", "timezone": "America/New_York"},
    {"rrule": "DTSTART:20200101T000000\nRRULE:FREQ=HOURLY;INTERVAL=5", "timezone": "Asia/Tokyo"},
]
DAYS = int(os.environ.get("PREFECT_KERNEL_SCHEDULER_DAYS", "5"))
DEPLOYMENTS = int(os.environ.get("PREFECT_KERNEL_SCHEDULER_DEPLOYMENTS", "12"))


def redeploy(kernel: KernelUnderTest, made: dict[str, Any]) -> None:
    """What an update does: the deployment is touched, and its future runs are deleted."""
    now = kernel.clock.now()
    write(kernel, sa.update(deployment).where(deployment.c.id == made["id"]).values(updated=now))
    write(
        kernel,
        sa.update(deployment_schedule).where(deployment_schedule.c.deployment_id == made["id"]).values(updated=now),
    )
    write(
        kernel,
        sa.delete(flow_run).where(
            flow_run.c.deployment_id == made["id"],
            flow_run.c.state_type == sa.literal_column("'SCHEDULED'"),
            flow_run.c.next_scheduled_start_time > now,
        ),
    )


def test_no_duplicate_and_none_missing(make_kernel: MakeKernel, database_url: str) -> None:
    """Every date of several days has one run, although both servers schedule at once and deployments change."""
    first = make_kernel(storage=database_url)
    url = first.kernel.settings.server.database.connection_url
    url = url.get_secret_value() if hasattr(url, "get_secret_value") else url
    second = make_kernel(storage=str(url))
    rng = random.Random(4)
    begin = first.clock.now()
    made = [deploy(first, [KINDS[i % 3]]) for i in range(DEPLOYMENTS)]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(DAYS * 4):
            for one in rng.sample(made, 2):
                redeploy(rng.choice((first, second)), one)
            for name in ("recent-deployments-scheduler", "scheduler"):
                for done in [pool.submit(kernel.tick, name) for kernel in (first, second)]:
                    done.result()
            for kernel in (first, second):
                kernel.clock.advance(hours=6)
    end = begin + timedelta(days=DAYS)
    found: dict[str, list[datetime]] = {}
    for run in runs(first):
        if run["expected_start_time"] < end:
            found.setdefault(run["deployment_id"], []).append(run["expected_start_time"])
    for one in made:
        wanted = [date for date in dates(one["schedules"][0]["schedule"], 1000, begin, end) if date < end]
        assert found[one["id"]] == wanted
