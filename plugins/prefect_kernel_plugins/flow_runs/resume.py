"""Resuming a paused flow run, with input where the pause asks for some.

The check of the input, the transition and the storing of the input are one transaction.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prefect_kernel import errors, web
from prefect_kernel.propose import propose
from prefect_kernel.sql import Unit
from prefect_kernel.transition import ABORT, ACCEPT, REJECT, Move, State

from ..common.client import api_version, client_version
from ..common.hydration import HydrationError, hydrate, needed_variables
from ..common.parameters import CircularReference, ParameterError, check
from ..states.answers import orchestration_result
from .group import group
from .inputs import input_call, read_value
from .schemas import Resume
from .transitions import load, transition

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel


class Refused(Exception):
    """The run cannot be resumed like this; holds the answer."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer


def _refused(state: State, reason: str) -> Refused:
    details = {"type": "abort_details", "reason": reason}
    return Refused({"state": state.to_json(), "status": REJECT, "details": details})


def checked_input(run_id: str, state: State, keyset: dict[str, str], given: dict[str, Any] | None) -> Unit[Any]:
    """The run's input, hydrated and valid against the schema that the paused run has stored. Raises Refused."""
    value: Any = given or {}
    variables = yield from needed_variables(value)
    try:
        value = hydrate(value, variables) or {}
    except HydrationError as error:
        raise _refused(state, f"Error hydrating run input: {error}") from None
    stored = yield from read_value(run_id, keyset["schema"])
    if stored is None:
        raise _refused(state, "Run input schema not found.")
    try:
        schema = json.loads(stored)
    except json.JSONDecodeError:
        raise _refused(state, "Run input schema is not valid JSON.") from None
    try:
        check(value, schema)
    except CircularReference:
        raise _refused(state, "Invalid schema: Unable to validate schema with circular references.") from None
    except ParameterError as error:
        raise _refused(state, f"Reason: {error}") from None
    return value


def resume(kernel: Kernel, run_id: str, given: dict[str, Any] | None, **options: Any) -> Unit[Move]:
    """Resume a run in one unit. Raises Refused."""
    found = yield from load(run_id)
    if found is None:
        raise errors.ObjectNotFound(f"Flow run with id {run_id} not found")
    state = found[1]
    if state is None or state.type != "PAUSED":
        details = {"type": "abort_details", "reason": "Cannot resume a flow run that is not paused."}
        raise Refused({"state": None, "status": ABORT, "details": details})
    keyset = state.details["run_input_keyset"]
    value: Any = None
    if keyset:
        value = yield from checked_input(run_id, state, keyset, given)

    def make(now: datetime) -> State:
        if state.details["pause_reschedule"]:
            return State("SCHEDULED", name="Resuming", details={"scheduled_time": now}, timestamp=now)
        return State("RUNNING", timestamp=now)

    def keep_input(move: Move) -> None:
        if keyset and value and move.status == ACCEPT:
            move.write(input_call(run_id, keyset["response"], web.dumps(value).decode(), None, options["now"]))

    move = yield from transition(kernel, run_id, make, then=keep_input, **options)
    return move


@group.post(
    "/{id:uuid}/resume", permission="run", body=Resume, embed=True, status=(201, 200), response="OrchestrationResult"
)
async def resume_flow_run(request: web.Request, body: Resume) -> web.Reply:
    """Let a paused run go on; a suspended one is scheduled again."""
    kernel = request.kernel
    try:
        move = await propose(
            kernel,
            ("core-flow", "global-flow"),
            resume,
            request.path["id"],
            body.run_input,
            now=kernel.clock.now(),
            api_version=api_version(request),
            client_version=client_version(request),
        )
    except Refused as refused:
        return web.json(refused.answer)
    return web.json(orchestration_result(move), 200 if move.validated is None else 201)
