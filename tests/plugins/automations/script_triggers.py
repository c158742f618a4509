"""Runs in Prefect's own environment: what Prefect's evaluation of triggers makes of scenarios.

Scenarios come in as JSON on the standard input, lists of firings go out; the arguments are a home directory and the URL
of a database that has the schema. Prefect's code does the deciding; only its clock, the order in which triggers are
asked, and the place to which it hands firings are set here.
"""

import asyncio
import json
import os
import sys
import uuid
from datetime import UTC, datetime, timedelta

os.environ["PREFECT_HOME"] = sys.argv[1]
os.environ["PREFECT_API_DATABASE_CONNECTION_URL"] = sys.argv[2]
os.environ["PREFECT_LOGGING_LEVEL"] = os.environ["PREFECT_LOGGING_SERVER_LEVEL"] = "CRITICAL"

import prefect.types._datetime as dates
import sqlalchemy as sa
from prefect.server.database import provide_database_interface
from prefect.server.events import triggers
from prefect.server.events.ordering.memory import CausalOrdering, EventBeingProcessed
from prefect.server.events.schemas.automations import Automation
from prefect.server.events.schemas.events import ReceivedEvent

BEGIN = datetime(2030, 1, 1, 12, tzinfo=UTC)
EVERY = 5


class Clock:
    """The time, and how many firings there have been."""

    now = BEGIN
    firings = 0


dates.now = lambda *_: Clock.now
_firing = triggers.Firing


def firing(**values):
    """The order of firings is told by their times, and this clock stands still."""
    Clock.firings += 1
    return _firing(**{**values, "triggered": Clock.now + timedelta(microseconds=Clock.firings)})


async def no_offset():
    """Events are looked at when they come."""
    return 0.0


triggers.Firing = firing
triggers.get_events_clock_offset = no_offset
_interested = triggers.find_interested_triggers
triggers.find_interested_triggers = lambda event: sorted(_interested(event), key=list(triggers.triggers.values()).index)


async def play(scenario):
    """The firings of a scenario: when, of which automation, on which event, with which labels."""
    found = []
    numbers = {}

    async def act(fired):
        event = fired.triggering_event
        seconds = int((Clock.now - BEGIN).total_seconds())
        labels = sorted(fired.triggering_labels.items())
        found.append([seconds, numbers[fired.trigger.automation.id], str(event.id) if event else None, labels])

    triggers.act = act
    await triggers.reset()
    CausalOrdering.clear_all_scopes()
    db = provide_database_interface()
    Clock.now, Clock.firings = BEGIN, 0
    made = []
    async with db.session_context(begin_transaction=True) as session:
        for table in (db.AutomationBucket, db.CompositeTriggerChildFiring, db.Automation):
            await session.execute(sa.delete(table))
        for number, trigger in enumerate(scenario["automations"]):
            one = Automation(
                id=uuid.uuid4(), created=BEGIN, updated=BEGIN, name=str(number), trigger=trigger,
                actions=[{"type": "do-nothing"}],
            )  # fmt: skip
            numbers[one.id] = number
            made.append(one)
            await session.execute(sa.insert(db.Automation).values(**one.model_dump(exclude={"created", "updated"})))
    for one in made:
        triggers.load_automation(one)
    ordering = triggers.get_triggers_causal_ordering()
    looked = None
    for step in scenario["steps"]:
        Clock.now = BEGIN + timedelta(seconds=step["now"])
        for values in step["events"]:
            if await ordering.event_has_been_seen(uuid.UUID(values["id"])):
                continue
            occurred = BEGIN + timedelta(seconds=values["occurred"])
            event = ReceivedEvent(**{**values, "occurred": occurred, "received": Clock.now})
            try:
                await triggers.reactive_evaluation(event)
            except (triggers.EventArrivedEarly, EventBeingProcessed):
                pass
        if looked is None or step["now"] - looked >= EVERY:
            looked = step["now"]
            for event in await triggers.get_lost_followers():
                await triggers.reactive_evaluation(event)
            await triggers.evaluate_proactive_triggers()
            async with triggers.automations_session() as session:
                await triggers.sweep_closed_buckets(session, Clock.now - timedelta(seconds=60))
                await session.commit()
    return found


async def main():
    """All scenarios."""
    json.dump([await play(scenario) for scenario in json.load(sys.stdin)], sys.stdout)


asyncio.run(main())
