"""The event that tells of a flow run's new state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect_kernel.transition import FlowTransform, Move, State

MESSAGE_LIMIT = 100_000
"""Characters of a state's message that an event carries."""

_TIGHT = timedelta(minutes=5)
"""Two states that follow each other within this time are tied by `follows`; beyond it their times tell the order."""

_CREATORS = {"DEPLOYMENT": "deployment", "AUTOMATION": "automation"}


def truncated(text: str | None) -> str:
    """A message short enough for an event: its middle is left out.

    Done twice, as Prefect does: what the first round adds makes the message a little too long again, so the number that
    is read in the end is that of the second round.
    """
    return _truncated_once(_truncated_once(text or ""))


def _truncated_once(text: str) -> str:
    if len(text) <= MESSAGE_LIMIT:
        return text
    half = MESSAGE_LIMIT // 2
    short = f"{text[:half]}...{len(text) - 2 * half} additional characters...{text[-half:]}"
    return short if len(short) < len(text) else text


class InstrumentFlowRunStateTransitions(FlowTransform):
    """Every new state of a flow run is told as an event, `prefect.flow-run.` and the state's name."""

    def after(self, move: Move) -> None:
        state = move.validated
        if state is not None and move.kernel.events.wanted:
            related = related_resources(move.run, move.context.get("related"))
            move.emit(state_event(move.run, move.initial, state, related))


def state_event(
    run: dict[str, Any], initial: State | None, state: State, related: list[dict[str, Any]]
) -> dict[str, Any]:
    """The event of a transition; its id is the state's."""
    near = initial is not None and -_TIGHT < state.timestamp - initial.timestamp < _TIGHT
    return {
        "occurred": state.timestamp,
        "event": f"prefect.flow-run.{state.name}",
        "resource": {
            "prefect.resource.id": f"prefect.flow-run.{run['id']}",
            "prefect.resource.name": run["name"],
            "prefect.run-count": str(run["run_count"]),
            "prefect.state-message": truncated(state.message),
            "prefect.state-name": state.name or "",
            "prefect.state-timestamp": state.timestamp.isoformat(),
            "prefect.state-type": state.type,
        },
        "related": related,
        "payload": {
            "intended": {"from": None if initial is None else initial.type, "to": state.type},
            "initial_state": _summary(initial),
            "validated_state": _summary(state),
        },
        "id": state.id,
        "follows": initial.id if initial is not None and near else None,
    }


def _summary(state: State | None) -> dict[str, str] | None:
    if state is None:
        return None
    summary = {"type": state.type}
    if state.name:
        summary["name"] = state.name
    if state.message:
        summary["message"] = truncated(state.message)
    if state.type == "PAUSED":
        summary["pause_reschedule"] = "true" if state.details["pause_reschedule"] else "false"
    return summary


def related_resources(run: dict[str, Any], row: Any) -> list[dict[str, Any]]:
    """What the events of a flow run relate to: by kind, then tags, then who made the run.

    `row` holds the RELATED_COLUMNS of the flow run's transitions.
    """
    related: list[dict[str, Any]] = []
    tags = set(run["tags"] or ())

    def add(kind: str, id: str | None, name: str | None, its_tags: Any = None, **further: str) -> None:
        if id is not None and name is not None:
            tags.update(its_tags or ())
            labels = {"prefect.resource.id": f"prefect.{kind}.{id}", "prefect.resource.role": kind}
            related.append({**labels, "prefect.resource.name": name, **further})

    if row is not None:
        add("flow", run["flow_id"], row[0], row[1])
        add("deployment", run["deployment_id"], row[2], row[3])
        add("work-queue", run["work_queue_id"], row[4])
        add("work-pool", row[5], row[6], **{"prefect.work-pool.type": row[7]})
        add("task-run", run["parent_task_run_id"], row[8], row[9])
    related += [{"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"} for tag in sorted(tags)]
    return related + _creator(run["created_by"])


def _creator(created_by: dict[str, Any] | None) -> list[dict[str, Any]]:
    kind = _CREATORS.get((created_by or {}).get("type") or "")
    if created_by is None or kind is None:
        return []
    creator = {"prefect.resource.id": f"prefect.{kind}.{created_by.get('id')}", "prefect.resource.role": "creator"}
    if created_by.get("display_value"):
        creator["prefect.resource.name"] = created_by["display_value"]
    return [creator]
