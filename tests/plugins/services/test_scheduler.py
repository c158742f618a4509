"""The scheduler: what is inserted, when, and that it is inserted once."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.deployments.tables import deployment
from prefect_kernel_plugins.flow_runs.tables import flow_run, flow_run_state
from prefect_kernel_plugins.schedules import runs as scheduling

from .rows import deploy, read, runs, write

DAILY = {"cron": "0 9 * * *", "timezone": "America/New_York", "day_or": True}
HOURLY = {"interval": 3600.0, "anchor_date": "2020-01-01T00:00:00.500000Z", "timezone": "UTC"}
MINUTELY = {"rrule": "DTSTART:20200101T000000\nFREQ=MINUTELY", "timezone": "UTC"}


def test_rows(kernel: KernelUnderTest) -> None:
    """Every column of a scheduled run is as Python Prefect 3.8.8 fills it."""
    made = deploy(
        kernel,
        [{"schedule": DAILY, "slug": "nine", "parameters": {"q": 2}}],
        tags=["x"],
        parameters={"p": 1, "q": 1},
        version="v7",
        labels={"k": 1},
    )
    kernel.tick("recent-deployments-scheduler")
    found = runs(kernel)
    assert len(found) == 3
    run = found[0]
    schedule = made["schedules"][0]["id"]
    due = datetime(2030, 1, 1, 14, tzinfo=UTC)
    assert run["next_scheduled_start_time"] == run["expected_start_time"] == due
    assert run["idempotency_key"] == f"scheduled {made['id']} {schedule} 2030-01-01 09:00:00-05:00"
    assert run["parameters"] == {"p": 1, "q": 2}
    assert run["tags"] == ["auto-scheduled", "x"]
    assert run["labels"] == {"k": 1, "prefect.flow.id": made["flow_id"], "prefect.deployment.id": made["id"]}
    assert list(run["created_by"].items()) == [("id", schedule), ("type", "SCHEDULE"), ("display_value", "nine")]
    assert (run["state_type"], run["state_name"], run["state_timestamp"]) == ("SCHEDULED", "Scheduled", None)
    assert (run["deployment_version"], run["job_variables"], run["context"]) == ("v7", {}, {})
    assert run["auto_scheduled"] is True
    state = read(
        kernel,
        sa.select(flow_run_state.c.name, flow_run_state.c.message, flow_run_state.c.state_details).where(
            flow_run_state.c.id == run["state_id"]
        ),
    )
    assert state[0][:2] == ("Scheduled", "Flow run scheduled")
    assert state[0][2]["scheduled_time"] == "2030-01-01T09:00:00-05:00"
    assert kernel.client.get(f"/flow_runs/{run['id']}").json()["state"]["type"] == "SCHEDULED"
    assert {event["event"] for event in kernel.events} == {"prefect.flow.created"}


def test_minimum_and_again(kernel: KernelUnderTest) -> None:
    """Three runs ahead and an hour; a second round adds nothing, a minute later each is one on."""
    deploy(kernel, [HOURLY, MINUTELY])
    kernel.tick("scheduler")
    first = runs(kernel)
    assert sum(run["created_by"]["display_value"] == "IntervalSchedule" for run in first) == 3
    assert sum(run["created_by"]["display_value"] == "RRuleSchedule" for run in first) == 61
    kernel.tick("scheduler")
    kernel.tick("recent-deployments-scheduler")
    assert len(runs(kernel)) == len(first)
    kernel.clock.advance(minutes=1)
    kernel.tick("scheduler")
    keys = [run["idempotency_key"] for run in runs(kernel)]
    assert len(keys) == len(set(keys)) == len(first) + 2


def test_deleted_run_comes_back(kernel: KernelUnderTest) -> None:
    """Where a run is missing among those ahead, all dates are offered again, and only the missing one is new."""
    deploy(kernel, [MINUTELY])
    kernel.tick("scheduler")
    before = {run["idempotency_key"] for run in runs(kernel)}
    write(kernel, sa.delete(flow_run).where(flow_run.c.id == runs(kernel)[30]["id"]))
    kernel.clock.advance(minutes=1)
    kernel.tick("scheduler")
    assert before < {run["idempotency_key"] for run in runs(kernel)}


def test_bad_schedule_blocks_nobody(kernel: KernelUnderTest, caplog: pytest.LogCaptureFixture) -> None:
    """A schedule that cannot be evaluated is logged once; the others of its deployment get their runs."""
    bad: list[dict[str, Any]] = [
        {"rrule": "DTSTART:20200101T000000\nRRULE:FREQ=DAILY;INTERVAL=0", "timezone": "UTC"},
        {"cron": "0 0 30 2 *", "timezone": None, "day_or": True},
        {"cron": "0 0 * * *", "timezone": "Not/There", "day_or": True},
        {"rrule": "DTSTART:20200101T000000\nRRULE:FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30", "timezone": "UTC"},
    ]
    deploy(kernel, [*bad, DAILY])
    with caplog.at_level(logging.ERROR, "prefect_kernel.schedules"):
        kernel.tick("scheduler")
        kernel.clock.advance(minutes=1)
        kernel.tick("scheduler")
    assert len(runs(kernel)) == 3
    assert sum("cannot be evaluated" in record.getMessage() for record in caplog.records) == 3


def test_paused_and_inactive(kernel: KernelUnderTest) -> None:
    """Deployments that are paused and schedules that are off get nothing."""
    deploy(kernel, [DAILY], paused=True)
    deploy(kernel, [{"schedule": DAILY, "active": False}])
    kernel.tick("scheduler")
    kernel.tick("recent-deployments-scheduler")
    assert runs(kernel) == []


def test_changed_meanwhile(kernel: KernelUnderTest) -> None:
    """What was planned on a deployment that has changed since is not inserted."""
    made = deploy(kernel, [DAILY])
    storage = kernel.kernel.storage
    bounds = scheduling.bounds_of(kernel.kernel)
    planned = scheduling.plan(
        read(kernel, scheduling.ACTIVE.expression(storage.dialect), ids=[made["id"]], now=bounds.start),
        bounds,
    )
    assert len(planned[0].rows) == 3
    write(kernel, sa.update(deployment).values(updated=kernel.clock.now() + timedelta(seconds=1)))
    assert kernel.run(storage.write(scheduling.insert, planned, kernel.clock.now())) == []
    assert runs(kernel) == []


def test_many_deployments(kernel: KernelUnderTest) -> None:
    """More deployments than one page, more runs than one batch."""
    for _ in range(130):
        deploy(kernel, [HOURLY, DAILY])
    kernel.tick("scheduler")
    assert len({run["idempotency_key"] for run in runs(kernel)}) == 130 * 6
    assert all(run["state_id"] for run in runs(kernel))


def test_unit_returns_ids(kernel: KernelUnderTest) -> None:
    """The unit of the schedule route gives the ids of what is new, and honours its bounds."""
    made = deploy(kernel, [MINUTELY])
    options: dict[str, Any] = {"min_runs": 5, "max_runs": 7, "min_time": timedelta(hours=2)}
    storage = kernel.kernel.storage
    ids = kernel.run(storage.write(scheduling.schedule_runs, kernel.kernel, [made["id"]], **options))
    assert sorted(ids) == sorted(run["id"] for run in runs(kernel))
    assert len(ids) == 7
    assert kernel.run(storage.write(scheduling.schedule_runs, kernel.kernel, [made["id"]], **options)) == []
