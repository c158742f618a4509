"""Random flows, deployments, work pools and runs, with everything that filters ask for."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.artifacts.tables import artifact
from prefect_kernel_plugins.deployments.tables import deployment
from prefect_kernel_plugins.flow_runs.tables import flow_run, flow_run_state
from prefect_kernel_plugins.flows.tables import flow
from prefect_kernel_plugins.task_runs.tables import task_run, task_run_state
from prefect_kernel_plugins.work_pools.tables import work_pool, work_queue

Row = dict[str, Any]
Rows = dict[str, list[Row]]

TAGS = ["a", "b", "c", "é", 'q"q']
BEGIN = datetime(2029, 12, 28, tzinfo=UTC)
"""The runs are spread over the six days from here; the kernel's clock stands within them."""

STATES = ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING"]
NAMES = ["Late", "AwaitingRetry", "Completed", "Failed"]
POLICY = {"max_retries": 0, "retry_delay_seconds": 0.0, "retries": 0, "retry_delay": 0}
_TABLES = (flow, work_pool, work_queue, deployment, task_run, flow_run, artifact, flow_run_state, task_run_state)


class Maker:
    """Makes rows from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rows: Rows = {table.name: [] for table in _TABLES}

    def id(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def time(self) -> datetime:
        """A moment with no, some, or all digits of a fraction."""
        fraction = self.random.choice([0, 500_000, 123_456])
        return BEGIN + timedelta(seconds=self.random.randrange(6 * 86400), microseconds=fraction)

    def maybe(self, value: Any, share: float = 0.3) -> Any:
        return None if self.random.random() < share else value

    def one(self, table: sa.Table) -> Any:
        return self.random.choice(self.rows[table.name])["id"]

    def tags(self) -> list[str]:
        return self.random.sample(TAGS, self.random.randrange(4))

    def add(self, table: sa.Table, **values: Any) -> Row:
        """A row; columns that are not given are NULL."""
        moment = self.time()
        row = {column.name: None for column in table.columns} | {"id": self.id(), "created": moment, "updated": moment}
        row |= values
        self.rows[table.name].append(row)
        return row

    def state(self, table: sa.Table, column: str, run: Row) -> None:
        """Give a run a state, mostly, in the forms in which old and new servers store them."""
        if run["state_type"] is None:
            return
        result = None
        if self.random.random() < 0.3:
            result = self.add(artifact, data=self.random.choice([{"type": "x", "é": [1, 2.5]}, [1], "text", None]))[
                "id"
            ]
        details: dict[str, Any] = self.random.choice([{}, {"cache_key": "k", "deferred": None}, {column: run["id"]}])
        if run["state_type"] == "SCHEDULED":
            when = self.random.choice(["2030-01-01T00:00:00+00:00", "2030-01-01T02:00:00.500000+02:00"])
            details = {**details, "scheduled_time": when}
        state = self.add(
            table,
            type=run["state_type"],
            name=run["state_name"],
            timestamp=run["state_timestamp"],
            message=self.maybe('said "é"\n'),
            state_details=details,
            data=self.maybe({"old": 1}, 0.9),
            result_artifact_id=result,
        )
        state[column] = run["id"]
        run["state_id"] = state["id"]

    def run(self) -> Row:
        """What flow runs and task runs have in common."""
        state_type = self.random.choice(STATES)
        return {
            "state_type": state_type,
            "state_name": self.random.choice([state_type.title(), *NAMES]),
            "state_timestamp": self.time(),
            "run_count": self.random.randrange(3),
            "expected_start_time": self.time(),
            "next_scheduled_start_time": self.maybe(self.time()),
            "start_time": self.maybe(self.time()),
            "end_time": self.maybe(self.time()),
            "total_run_time": self.random.choice(
                [timedelta(0), timedelta(microseconds=10), timedelta(seconds=7, microseconds=123456), timedelta(days=2)]
            ),
            "tags": self.tags(),
            "labels": self.random.choice([None, {}, {"k": "v", "n": 1.0}]),
        }


def make(seed: int, runs: int = 60) -> Rows:
    """Rows of all tables, in the order in which they can be inserted."""
    make = Maker(seed)
    choice = make.random.choice
    for i in range(6):
        make.add(flow, name=f"{choice(['Flow', 'étl_'])}-{i}", tags=make.tags(), labels=make.maybe({"x": 1}))
    pools = {"base_job_template": {}, "is_paused": False, "status": "READY", "storage_configuration": {}}
    for i in range(2):
        make.add(work_pool, name=f"pool-{i}", type=["process", "docker"][i], **pools)
    queues = {"is_paused": False, "description": "", "priority": 1, "status": "READY"}
    for i in range(3):
        make.add(work_queue, name=["default", "Queue-2", "q_3"][i], work_pool_id=make.one(work_pool), **queues)
    for i in range(6):
        make.add(
            deployment,
            name=f"{choice(['Deploy', 'etl'])}-{i}",
            flow_id=choice(make.rows["flow"][:4])["id"],
            tags=make.tags(),
            paused=choice([True, False]),
            work_queue_name=choice([None, "default", "other"]),
            work_queue_id=make.maybe(make.one(work_queue)),
            parameters={},
            infra_overrides={},
            enforce_parameter_schema=False,
            status="READY",
        )
    for i in range(runs):
        origin = {"id": choice(make.rows["deployment"][:2])["id"], "type": choice(["DEPLOYMENT", "AUTOMATION"])}
        make.add(
            flow_run,
            **make.run(),
            name=f"{choice(['Run', 'rün%', 'x_'])}{i % 20}",
            flow_id=make.one(flow),
            deployment_id=make.maybe(make.one(deployment)),
            work_queue_id=make.maybe(make.one(work_queue)),
            work_queue_name=make.maybe("x"),
            flow_version=make.maybe(choice(["v1", "v2"])),
            idempotency_key=make.maybe(f"key-{i}", 0.7),
            created_by=make.maybe(origin | {"display_value": None}, 0.5),
            parameters=choice([{}, {"é": 'a"b', "n": [1, 2.0, None]}]),
            context={},
            empirical_policy=POLICY,
            auto_scheduled=choice([True, False]),
            job_variables=choice([None, {}, {"image": "x"}]),
        )
    for i in range(runs):
        make.add(
            task_run,
            **make.run(),
            name=f"{choice(['Task', 'täsk%', 't_'])}{i % 20}",
            flow_run_id=make.maybe(make.one(flow_run)),
            task_key="k",
            dynamic_key=str(i),
            empirical_policy={**POLICY, "retry_delay": [1, 2.5]},
            task_inputs=choice([{}, {"x": [{"input_type": "task_run", "id": make.one(flow_run)}]}]),
            flow_run_run_count=1,
        )
    for run in make.rows["flow_run"]:
        run["parent_task_run_id"] = make.maybe(make.one(task_run), 0.7)
        make.state(flow_run_state, "flow_run_id", run)
    for run in make.rows["task_run"]:
        make.state(task_run_state, "task_run_id", run)
    return make.rows


def insert(kernel: KernelUnderTest, rows: Rows) -> None:
    """Put rows into a kernel's database; links that go both ways are set last."""
    late = {"flow_run": ("parent_task_run_id", "state_id"), "task_run": ("flow_run_id", "state_id")}

    def unit() -> Unit[None]:
        for table in _TABLES:
            held = late.get(table.name, ())
            names = [column.name for column in table.columns if column.name not in held]
            binds = {name: sa.bindparam(name, type_=table.c[name].type) for name in names}
            yield Statement(sa.insert(table).values(binds)).many(rows[table.name])
        for name, columns in late.items():
            table = {"flow_run": flow_run, "task_run": task_run}[name]
            links = {column: sa.bindparam(column, type_=table.c[column].type) for column in columns}
            here = table.c.id == sa.bindparam("row_id", type_=table.c.id.type)
            set_links = Statement(sa.update(table).values(links).where(here))
            yield set_links.many([{**row, "row_id": row["id"]} for row in rows[name]])

    kernel.run(kernel.kernel.storage.write(unit))
