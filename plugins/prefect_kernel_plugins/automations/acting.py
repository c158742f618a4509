"""Doing actions: each kind is a function of an `Invocation`, which calls the server's own endpoints."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID

from ..common.hydration import HydrationError, hydrate, needed_variables
from . import rendering
from .actions import upgraded
from .calling import ActionFailed, Caller, checked

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

log = logging.getLogger("prefect_kernel.automations")

SUSPENDED_FOR = timedelta(hours=1)
"""How long a run that an automation has suspended waits to be resumed."""


@dataclass
class Invocation:
    """One action to be done, and what has come of it."""

    kernel: Kernel
    id: str
    number: int
    """The action's position among those of its firing."""
    action: dict[str, Any]
    automation: dict[str, Any]
    firing: dict[str, Any]
    event: dict[str, Any] | None
    """What caused the action: the event that fired, or the one that says that the automation has."""
    triggered_event_id: str
    details: dict[str, Any] = field(default_factory=dict)
    """Added to the payload of the event that tells how it went."""
    related: list[dict[str, str]] = field(default_factory=list)
    """Added to that event's related resources."""

    def __post_init__(self) -> None:
        self.call = Caller(self.kernel, str(self.automation["id"]), self.automation["name"])

    @property
    def kind(self) -> str:
        """The action's type."""
        kind: str = self.action["type"]
        return kind

    @property
    def idempotency_key(self) -> str:
        """The same however often the action is tried."""
        return f"automation {self.automation['id']}, action {self.number}, invocation {self.id}"

    def relate(self, id: str, role: str, name: str | None = None) -> None:
        """Name a resource that the action was about."""
        named = {} if name is None else {"prefect.resource.name": name}
        self.related.append({"prefect.resource.id": id, "prefect.resource.role": role, **named})

    def target(self, what: str) -> str:
        """The id of the chosen object, or of the event's. Raises ActionFailed."""
        noun = what.replace("_", " ")
        if self.action["source"] == "selected":
            return str(self.action[f"{what}_id"])
        if self.event is None:
            raise ActionFailed(f"No event to infer the {noun}")
        found = _id_in(rendering.first_of_kind(self.event, f"prefect.{what.replace('_', '-')}"))
        if found is None:
            raise ActionFailed(f"No {noun} could be inferred")
        return found

    def flow_run(self) -> str:
        """The id of the flow run that is counted by, or is in the event. Raises ActionFailed."""
        counted = self.firing["triggering_labels"].get("prefect.resource.id", "")
        if counted.startswith("prefect.flow-run.") and (id := _id_in({"prefect.resource.id": counted})):
            return id
        found = _id_in(rendering.first_of_kind(self.event, "prefect.flow-run"))
        if found is None:
            raise ActionFailed("No flow run could be inferred")
        return found

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What an endpoint answers, parsed. Raises ActionFailed, or TryAgain."""
        answer = await self.call(method, path, body)
        self.details["status_code"] = answer.status
        checked(self.kind, answer)
        return answer.json() if answer.body else None

    async def rendered(self, *templates: str) -> list[str]:
        """Texts, filled in. Raises ActionFailed."""
        found = await rendering.context(self.call, self.automation, self.firing, self.event, list(templates))
        return [rendering.filled_in(template, found, self.details) for template in templates]


def _id_in(resource: dict[str, str] | None) -> str | None:
    if resource is None:
        return None
    try:
        return str(UUID(resource["prefect.resource.id"].rpartition(".")[2]))
    except ValueError:
        return None


# ---------------------------------------------------------------- deployments
async def _do_nothing(_one: Invocation) -> None:
    pass


async def _run_deployment(one: Invocation) -> None:
    id = one.target("deployment")
    one.relate(f"prefect.deployment.{id}", "target")
    when = one.kernel.clock.now() + timedelta(seconds=one.action.get("schedule_after") or 0)
    body = {
        "state": {"type": "SCHEDULED", "name": "Scheduled", "state_details": {"scheduled_time": when}},
        "parameters": await _parameters(one),
        "idempotency_key": one.idempotency_key,
        "job_variables": one.action.get("job_variables"),
    }
    answer = await one.call("POST", f"/deployments/{id}/create_flow_run", body)
    one.details["status_code"] = answer.status
    if answer.status == 409:
        one.details["validation_error"] = answer.json().get("detail")
    run = checked(one.kind, answer).json()
    one.relate(f"prefect.flow-run.{run['id']}", "flow-run", run["name"])


async def _parameters(one: Invocation) -> dict[str, Any]:
    parameters = upgraded(one.action.get("parameters") or {})
    templates = rendering.templates_in(parameters)
    found = await rendering.context(one.call, one.automation, one.firing, one.event, templates)
    variables = await one.kernel.storage.read(needed_variables, parameters)
    try:
        values: dict[str, Any] = hydrate(parameters, variables, found)
    except HydrationError as error:
        log.warning("parameters for a run of an automation, %s: %s", one.automation["id"], error)
        # Prefect's reason says no more than that; the log says what it is about.
        raise ActionFailed(f"Unable to create flow run from deployment: {error.kind}()") from None
    return values


def _deployment(command: str) -> Callable[[Invocation], Awaitable[None]]:
    async def act(one: Invocation) -> None:
        id = one.target("deployment")
        one.relate(f"prefect.deployment.{id}", "target")
        await one.ask("POST", f"/deployments/{id}/{command}", {})

    return act


# ---------------------------------------------------------------- flow runs
def _state(state: Callable[[Invocation], dict[str, Any]]) -> Callable[[Invocation], Awaitable[None]]:
    async def act(one: Invocation) -> None:
        id = one.flow_run()
        one.relate(f"prefect.flow-run.{id}", "target")
        body = {"state": state(one), "force": one.action.get("force", False)}
        result = await one.ask("POST", f"/flow_runs/{id}/set_state", body)
        if result["status"] != "ACCEPT":
            raise ActionFailed(f"Failed to set state: {result['details'].get('reason')}")

    return act


def _cancelling(one: Invocation) -> dict[str, Any]:
    return {"type": "CANCELLING", "message": f"Cancelled by Automation {one.automation['id']}"}


def _suspended(one: Invocation) -> dict[str, Any]:
    details = {"pause_timeout": one.kernel.clock.now() + SUSPENDED_FOR, "pause_reschedule": True}
    message = f"Suspended by Automation {one.automation['id']}"
    return {"type": "PAUSED", "name": "Suspended", "message": message, "state_details": details}


def _chosen(one: Invocation) -> dict[str, Any]:
    message = one.action.get("message") or f"State changed by Automation {one.automation['id']}"
    return {"type": one.action["state"], "name": one.action.get("name"), "message": message}


async def _resume_flow_run(one: Invocation) -> None:
    id = one.flow_run()
    one.relate(f"prefect.flow-run.{id}", "target")
    answer = checked(one.kind, await one.call("POST", f"/flow_runs/{id}/resume", {}))
    result = answer.json()
    if result["status"] != "ACCEPT":
        raise ActionFailed(f"Failed to resume flow run: {result['details'].get('reason')}")


async def _delete_flow_run(one: Invocation) -> None:
    id = one.flow_run()
    one.relate(f"prefect.flow-run.{id}", "target")
    await one.ask("DELETE", f"/flow_runs/{id}")


# ---------------------------------------------------------------- work queues, work pools, automations
def _work_queue(paused: bool) -> Callable[[Invocation], Awaitable[None]]:
    async def act(one: Invocation) -> None:
        id = one.target("work_queue")
        one.relate(f"prefect.work-queue.{id}", "target")
        await one.ask("PATCH", f"/work_queues/{id}", {"is_paused": paused})

    return act


def _work_pool(paused: bool) -> Callable[[Invocation], Awaitable[None]]:
    async def act(one: Invocation) -> None:
        id = one.target("work_pool")
        found = await one.call("POST", "/work_pools/filter", {"work_pools": {"id": {"any_": [id]}}})
        pools = found.json() if found.status < 300 else []
        if not pools:
            raise ActionFailed(f"Work pool {id} not found")
        name = pools[0]["name"]
        # The order of the labels is the reference's.
        one.related.append(
            {
                "prefect.resource.id": f"prefect.work-pool.{id}",
                "prefect.resource.name": name,
                "prefect.resource.role": "target",
            }
        )
        await one.ask("PATCH", f"/work_pools/{quote(name)}", {"is_paused": paused})

    return act


def _automation(enabled: bool) -> Callable[[Invocation], Awaitable[None]]:
    async def act(one: Invocation) -> None:
        id = one.target("automation")
        one.relate(f"prefect.automation.{id}", "target")
        await one.ask("PATCH", f"/automations/{id}", {"enabled": enabled})

    return act


# ---------------------------------------------------------------- telling others
async def _send_notification(one: Invocation) -> None:
    from . import notifying

    await notifying.send_notification(one)


async def _call_webhook(one: Invocation) -> None:
    from . import notifying

    await notifying.call_webhook(one)


ACTIONS: dict[str, Callable[[Invocation], Awaitable[None]]] = {
    "do-nothing": _do_nothing,
    "run-deployment": _run_deployment,
    "pause-deployment": _deployment("pause_deployment"),
    "resume-deployment": _deployment("resume_deployment"),
    "cancel-flow-run": _state(_cancelling),
    "suspend-flow-run": _state(_suspended),
    "change-flow-run-state": _state(_chosen),
    "resume-flow-run": _resume_flow_run,
    "delete-flow-run": _delete_flow_run,
    "pause-work-queue": _work_queue(True),
    "resume-work-queue": _work_queue(False),
    "pause-work-pool": _work_pool(True),
    "resume-work-pool": _work_pool(False),
    "pause-automation": _automation(False),
    "resume-automation": _automation(True),
    "send-notification": _send_notification,
    "call-webhook": _call_webhook,
}
"""What each kind of action does."""

TIGHT = timedelta(minutes=5)
"""How close to what caused it an action must be for its events to follow that."""


def action_events(one: Invocation, now: datetime, reason: str | None) -> list[dict[str, Any]]:
    """The events that tell that an action was triggered, and how it went; `reason` is why it failed."""
    from prefect_kernel.ids import uuid7

    trigger = one.automation["trigger"]
    resource = {
        "prefect.resource.id": f"prefect.automation.{one.automation['id']}",
        "prefect.resource.name": one.automation["name"],
        "prefect.trigger-type": trigger["type"],
    }
    if "posture" in trigger:
        resource["prefect.posture"] = trigger["posture"]
    triggered = datetime.fromisoformat(one.firing["triggered"])
    related = [*one.related, _event_resource(one.triggered_event_id, "automation-triggered-event")]
    follows = None
    if one.event is not None:
        related.append(_event_resource(one.event["id"], "triggering-event"))
        if abs(triggered - datetime.fromisoformat(one.event["occurred"])) < TIGHT:
            follows = one.event["id"]
    payload = {"action_index": one.number, "action_type": one.kind, "invocation": one.id}
    first = {
        "occurred": triggered,
        "event": "prefect.automation.action.triggered",
        "resource": resource,
        "related": related,
        "payload": payload,
        "id": uuid7(),
        "follows": follows,
    }
    told = {} if reason is None else {"reason": reason}
    second = {
        **first,
        "occurred": now,
        "event": f"prefect.automation.action.{'executed' if reason is None else 'failed'}",
        "payload": {**payload, **told, **one.details},
        "id": uuid7(),
        "follows": first["id"],
    }
    return [first, second]


def _event_resource(id: str, role: str) -> dict[str, str]:
    return {"prefect.resource.id": f"prefect.event.{id}", "prefect.resource.role": role}
