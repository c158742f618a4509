"""Fills a server with what a team has after some weeks, through Prefect's own client: `python seed_flows.py`.

Run with Prefect's own Python. Prints one line of JSON: the ids and names that the walk through the interface needs.
"""

import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from pydantic import SecretStr

import prefect.exceptions
from prefect import flow, get_client, get_run_logger, tags, task
from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.automations import Automation
from prefect.blocks.core import Block
from prefect.blocks.notifications import SlackWebhook
from prefect.blocks.system import Secret
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, WorkPoolCreate
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.events import emit_event
from prefect.events.actions import CancelFlowRun, DoNothing, RunDeployment
from prefect.events.schemas.automations import (
    CompoundTrigger,
    EventTrigger,
    Posture,
    SequenceTrigger,
)
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.states import Cancelled, Pending, Running, Scheduled
from prefect.variables import Variable

HERE = Path(__file__).parent


# ------------------------------------------------------------------------------------------------------ flows
@task(tags=["extract"])
def extract(source: str) -> list[int]:
    get_run_logger().info("Reading %s", source)
    return list(range(5))


@task(tags=["transform"], task_run_name="transform-{n}")
def transform(n: int) -> int:
    get_run_logger().debug("Number %s", n)
    return n * n


@task(retries=1, retry_delay_seconds=0)
def load(numbers: list[int]) -> int:
    logger = get_run_logger()
    logger.warning("Loading %s numbers", len(numbers))
    create_table_artifact(
        key="loaded-numbers", table=[{"number": n, "even": n % 2 == 0} for n in numbers], description="What was loaded"
    )
    return sum(numbers)


@task
def fails(message: str) -> None:
    get_run_logger().error("About to fail: %s", message)
    raise ValueError(message)


@flow(log_prints=True)
def child(n: int = 3) -> int:
    """Squares, in a run of their own."""
    print("child of", n)
    return sum(future.result() for future in transform.map(range(n)))


@flow(name="etl", description="Reads, squares and **loads** numbers.", version="1.2")
def etl(source: str = "warehouse", rows: int = 5, when: str | None = None, tags_wanted: list[str] | None = None) -> int:
    """Reads, squares and loads."""
    logger = get_run_logger()
    logger.info("Starting %s with %s rows", source, rows)
    numbers = extract(source)
    squares = [future.result() for future in transform.map(numbers)]
    total = load(squares)
    total += child(3)
    create_markdown_artifact(
        key="report", markdown=f"# Report\n\n| a | b |\n|---|---|\n| 1 | {total} |\n", description="The **report**"
    )
    create_link_artifact(key="dashboard-link", link="https://example.com/d", link_text="Dashboard")
    create_image_artifact(key="chart", image_url="https://example.com/chart.png", description="A chart")
    progress = create_progress_artifact(progress=10.0, key="progress", description="How far")
    update_progress_artifact(artifact_id=progress, progress=80.0)
    logger.critical("A critical line, for its colour")
    return total


@flow(name="broken")
def broken() -> None:
    """Fails after some work."""
    extract("broken-source")
    fails("the warehouse is closed")


@flow(name="crashing")
def crashing() -> None:
    raise KeyboardInterrupt


class Approval(RunInput):
    approved: bool
    comment: str = "none"


@flow(name="approval")
def approval() -> str:
    answer = pause_flow_run(wait_for_input=Approval, timeout=900, poll_interval=1)
    return f"approved: {answer.approved}"


@flow(name="waits")
def waits(seconds: int = 600) -> None:
    """Runs until it is cancelled."""
    for _ in range(seconds):
        time.sleep(1)


@flow(name="hello", log_prints=True)
def hello(name: str = "world", count: int = 1, loud: bool = False) -> str:
    """Greets.

    Args:
        name: who
        count: how often
        loud: shout
    """
    for _ in range(count):
        print("HELLO" if loud else "hello", name)
    return name


# ------------------------------------------------------------------------------------------------------ blocks
class Database(Block):
    """Where a database is."""

    _block_type_name = "Team Database"
    _description = "Where a database is, and how to get in."

    host: str
    port: int = 5432
    password: SecretStr
    options: dict[str, str] = {}


class Warehouse(Block):
    """A database with a schema."""

    _block_type_name = "Team Warehouse"

    database: Database
    schema_name: str = "public"


def seed_blocks(client) -> dict[str, str]:
    database = Database(host="db.example", password=SecretStr("hunter2"), options={"sslmode": "require"})
    first = database.save("main-database", overwrite=True)
    nested = Warehouse(database=Database.load("main-database"), schema_name="analytics").save(
        "warehouse", overwrite=True
    )
    secret = Secret(value="s3cr3t").save("api-key", overwrite=True)
    slack = SlackWebhook(url="https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ").save(
        "alerts", overwrite=True
    )
    return {"database": str(first), "warehouse": str(nested), "secret": str(secret), "slack": str(slack)}


# ------------------------------------------------------------------------------------------------------ runs
def seed_runs(client) -> dict[str, str]:
    ids = {}
    with tags("nightly", "team-a"):
        state = etl(return_state=True)
    assert state.is_completed(), state
    ids["etl_run"] = str(state.state_details.flow_run_id)
    etl(source="lake", rows=7)
    state = broken(return_state=True)
    assert state.is_failed(), state
    ids["broken_run"] = str(state.state_details.flow_run_id)
    try:
        crashing()
    except BaseException:  # noqa: BLE001 - a crash comes back as what caused it
        pass
    hello("seed", count=2)
    for name, state in [
        ("cancelled-run", Cancelled(message="enough")),
        ("running-run", Running()),
        ("pending-run", Pending()),
        ("scheduled-run", Scheduled(scheduled_time=prefect.types._datetime.now("UTC") + timedelta(hours=3))),
        ("late-run", Scheduled(scheduled_time=prefect.types._datetime.now("UTC") - timedelta(hours=1))),
    ]:
        run = client.create_flow_run(hello, name=name, parameters={"name": name}, tags=["made-by-hand"])
        client.set_flow_run_state(run.id, state, force=True)
        ids[name] = str(run.id)
    return ids


# ------------------------------------------------------------------------------------------------------ deployments
def seed_deployments(client) -> dict[str, str]:
    metadata = client._client.get("/collections/views/aggregate-worker-metadata").json()
    kinds = {kind["type"]: kind for package in metadata.values() for kind in package.values()}
    for name, kind in [("local-pool", "process"), ("docker-pool", "docker"), ("k8s-pool", "kubernetes")]:
        client.create_work_pool(
            WorkPoolCreate(
                name=name,
                type=kind,
                description=f"Runs of type {kind}",
                base_job_template=kinds[kind]["default_base_job_configuration"],
                concurrency_limit=5,
            )
        )
    client.create_work_queue(name="urgent", priority=1, work_pool_name="local-pool", concurrency_limit=2)
    client.create_work_queue(name="later", priority=9, work_pool_name="local-pool")
    source = flow.from_source(source=str(HERE), entrypoint=f"{Path(__file__).name}:hello")
    ids = {}
    ids["hello"] = source.deploy(
        name="greeter",
        work_pool_name="local-pool",
        work_queue_name="urgent",
        schedules=[
            IntervalSchedule(interval=timedelta(hours=6), timezone="Europe/Berlin"),
            CronSchedule(cron="0 7 * * 1-5", timezone="America/New_York"),
            RRuleSchedule(rrule="FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=9;BYMINUTE=0;BYSECOND=0"),
        ],
        parameters={"name": "deployment", "count": 2},
        tags=["greets", "team-a"],
        description="Says **hello** from a worker.",
        version="7",
        concurrency_limit=3,
        print_next_steps=False,
        build=False,
        push=False,
    )
    for name, entry in [("waiter", "waits"), ("breaks", "broken"), ("asks", "approval"), ("nightly", "etl")]:
        source = flow.from_source(source=str(HERE), entrypoint=f"{Path(__file__).name}:{entry}")
        ids[entry] = source.deploy(
            name=name, work_pool_name="local-pool", print_next_steps=False, build=False, push=False, tags=["manual"]
        )
    source = flow.from_source(source=str(HERE), entrypoint=f"{Path(__file__).name}:child")
    ids["docker"] = source.deploy(
        name="in-a-container",
        work_pool_name="docker-pool",
        image="example/none:1",
        build=False,
        push=False,
        cron="*/30 * * * *",
        paused=True,
        print_next_steps=False,
        job_variables={"env": {"A": "1"}},
    )
    return {f"deployment_{name}": str(value) for name, value in ids.items()}


# ------------------------------------------------------------------------------------------------------ the rest
def seed_rest(client, deployments: dict[str, str], blocks: dict[str, str]) -> dict[str, str]:
    Variable.set("region", "eu-west-1", tags=["infra"], overwrite=True)
    Variable.set("limits", {"rows": 1000, "tables": ["a", "b"]}, overwrite=True)
    Variable.set("flag", True, overwrite=True)
    for name, limit, decay in [("database", 5, 0.0), ("api-calls", 10, 2.5), ("idle", 1, 0.0)]:
        client.create_global_concurrency_limit(
            GlobalConcurrencyLimitCreate(name=name, limit=limit, slot_decay_per_second=decay, active=name != "idle")
        )
    client.increment_concurrency_slots(names=["database"], slots=2, mode="concurrency")
    tag_limit = client.create_concurrency_limit(tag="extract", concurrency_limit=4)
    client.create_concurrency_limit(tag="gpu", concurrency_limit=1)
    failed = EventTrigger(
        expect={"prefect.flow-run.Failed"},
        match={"prefect.resource.id": "prefect.flow-run.*"},
        for_each={"prefect.resource.id"},
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )
    stuck = EventTrigger(
        after={"prefect.flow-run.Running"},
        expect={"prefect.flow-run.*"},
        match={"prefect.resource.id": "prefect.flow-run.*"},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(minutes=60),
    )
    ordered = SequenceTrigger(triggers=[failed, stuck], within=timedelta(hours=2))
    both = CompoundTrigger(triggers=[failed, stuck], within=timedelta(hours=1), require="all")
    repair = RunDeployment(
        source="selected", deployment_id=deployments["deployment_hello"], parameters={"name": "fixed"}
    )
    ids = {}
    for name, trigger, actions in [
        ("repair on failure", failed, [repair]),
        ("cancel what hangs", stuck, [CancelFlowRun()]),
        ("one after the other", ordered, [DoNothing()]),
        ("both at once", both, [DoNothing()]),
    ]:
        made = Automation(
            name=name, description=f"Does: {name}", trigger=trigger, actions=actions, enabled=name != "both at once"
        )
        ids[f"automation_{name.replace(' ', '_')}"] = str(made.create().id)
    for n in range(15):
        emit_event(
            event=f"shop.order.{'paid' if n % 3 else 'refused'}",
            resource={
                "prefect.resource.id": f"shop.order.{n}",
                "prefect.resource.name": f"Order {n}",
                "shop.size": str(n),
            },
            related=[{"prefect.resource.id": f"shop.customer.{n % 4}", "prefect.resource.role": "customer"}],
            payload={"amount": n * 3, "lines": [{"sku": str(uuid4()), "n": n}]},
        )
    return {**ids, "tag_limit": str(tag_limit)}


def main() -> None:
    with get_client(sync_client=True) as client:
        ids: dict[str, str] = {}
        ids |= seed_blocks(client)
        ids |= seed_deployments(client)
        ids |= seed_rest(client, ids, ids)
        ids |= seed_runs(client)
        ids["etl_flow"] = str(client.read_flow_run(ids["etl_run"]).flow_id)
        deadline = time.monotonic() + 60
        task_runs: list = []
        while len(task_runs) < 10 and time.monotonic() < deadline:  # task runs are told by events, in their own time
            task_runs = client.read_task_runs(
                flow_run_filter=prefect.client.schemas.filters.FlowRunFilter(id={"any_": [ids["etl_run"]]})
            )
            time.sleep(0.2)
        ids["task_run"] = str(next(run.id for run in task_runs if run.name.startswith("load")))
    sys.stdout.write(json.dumps(ids) + "\n")


if __name__ == "__main__":
    os.chdir(HERE)
    main()
