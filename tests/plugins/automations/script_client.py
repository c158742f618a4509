"""Runs in an environment of Prefect's client: what a user does with events and automations; prints what came of it."""

import asyncio
import json
import sys
from datetime import timedelta

from prefect import flow
from prefect._experimental.sla.objects import FrequencySla, TimeToCompletionSla
from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.events import DeploymentEventTrigger, emit_event
from prefect.events.actions import DoNothing
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.events.schemas.automations import CompoundTrigger, EventTrigger, Posture


@flow
def hello(name: str = "nobody"):
    """Never run here."""


def wait_for(*names):
    """A trigger that fires at once."""
    return EventTrigger(posture=Posture.Reactive, expect=set(names))


async def main():
    """Make automations, let them fire, and see it."""
    both = CompoundTrigger(
        require="all", within=timedelta(minutes=1), triggers=[wait_for("acme.a"), wait_for("acme.b")]
    )
    made = await Automation(name="both", trigger=both, actions=[DoNothing()]).acreate()
    off = await Automation(name="off", trigger=wait_for("acme.a"), actions=[DoNothing()]).acreate()
    await off.adisable()
    trigger = DeploymentEventTrigger(
        name="on order", expect={"acme.order"}, parameters={"name": "{{ event.resource.id }}"}
    )
    deployment = await hello.ato_deployment("d", triggers=[trigger])
    await deployment.aapply()
    prefixes = EventFilter(event=EventNameFilter(prefix=["acme.", "prefect.automation.action."]))
    seen = []
    async with asyncio.timeout(60), get_events_subscriber(filter=prefixes) as subscriber:
        for name in ("order", "a", "b"):
            emit_event(event=f"acme.{name}", resource={"prefect.resource.id": "acme.shop"})
        async for event in subscriber:
            seen.append(event.event)
            if seen.count("prefect.automation.action.executed") == 2:
                break
    async with get_client() as client:
        runs = await client.read_flow_runs()
        (found,) = await client.read_deployments()
        again = await Automation.aread(id=made.id)
        await made.adelete()
        left = sorted(one.name for one in await client.read_automations())
    with get_client(sync_client=True) as client:
        slas = [TimeToCompletionSla(name="t", duration=5), FrequencySla(name="f", stale_after=timedelta(hours=1))]
        applied = client.apply_slas_for_deployment(found.id, slas)
    json.dump(
        {
            "seen": sorted(seen),
            "runs": [[run.parameters, run.created_by.display_value] for run in runs],
            "kept": again.trigger.require == "all" and len(again.trigger.triggers) == 2,
            "left": left,
            "slas": applied.created,
        },
        sys.stdout,
    )


asyncio.run(main())
