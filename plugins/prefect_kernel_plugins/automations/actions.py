"""What automations do: the seventeen kinds of actions, as clients declare them.

The names of classes and of their validators are Prefect's, since they are part of what clients are told about input
that is none. Doing is `acting`'s business.
"""

from __future__ import annotations

import copy
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ValidationInfo,
    WithJsonSchema,
    WrapSerializer,
    WrapValidator,
    field_validator,
    model_validator,
)

from ..common.hydration import KIND, Placeholder, hydrate
from ..common.templates import TemplateError, check_template, is_template
from .kinds import ACTIONS, OneOf

if TYPE_CHECKING:
    from .acting import Invocation


Span = Annotated[timedelta, WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "format": "duration"}]})]
"""Seconds; clients may also say it in the words of ISO 8601."""


class Part(BaseModel):
    """Base of what an automation is made of; unknown keys are ignored. Built on first use: there are many."""

    model_config = ConfigDict(ser_json_timedelta="float", extra="ignore", defer_build=True)


class Action(Part):
    """Base of all kinds of actions, also of those that plugins bring (`kernel_actions`)."""

    timeout_seconds: ClassVar[float] = 60.0
    """How long doing it may take; after that it is tried again later. For kinds of plugins."""

    type: str

    async def act(self, one: Invocation) -> None:
        """Do it. Raises ActionFailed when that cannot be done; after anything else that is raised it is tried again.

        It may be done twice when a server dies after it: `one.id` is the same then.
        """
        from .acting import ACTIONS

        await ACTIONS[self.type](one)


StateType = Enum(  # type: ignore[misc]
    "StateType",
    {name: name for name in "SCHEDULED PENDING RUNNING COMPLETED FAILED CANCELLED CRASHED PAUSED CANCELLING".split()},
    type=str,
)


def _not_negative(value: timedelta) -> timedelta:
    if value < timedelta(seconds=0):
        raise ValueError("timedelta must be non-negative")
    return value


def checked_template(template: str, field: str) -> str:
    """A template whose syntax is right; raises ValueError that names the field."""
    try:
        check_template(template)
    except TemplateError as error:
        raise ValueError(f"{field!r} is not a valid template: {error}") from None
    return template


class DoNothing(Action):
    """Done at once."""

    type: Literal["do-nothing"] = "do-nothing"


# ---------------------------------------------------------------- deployments
Source = Literal["selected", "inferred"]


def _given_if_selected(name: str, source: str, id: UUID | None) -> None:
    if (source == "selected") != bool(id):
        raise ValueError(f"{name} is {'not allowed' if id else 'required'}")


class DeploymentAction(Action):
    """Something that is done to a deployment, a chosen one or that of the event."""

    source: Source = "selected"
    deployment_id: UUID | None = None

    @model_validator(mode="after")
    def selected_deployment_requires_id(self) -> Self:
        """An id is given if, and only if, the deployment is chosen."""
        _given_if_selected("deployment_id", self.source, self.deployment_id)
        return self


class RunDeployment(DeploymentAction):
    """Make a flow run of a deployment."""

    type: Literal["run-deployment"] = "run-deployment"
    parameters: dict[str, Any] | None = None
    job_variables: dict[str, Any] | None = None
    schedule_after: Annotated[Span, AfterValidator(_not_negative)] = timedelta(0)

    @field_validator("parameters")
    @classmethod
    def validate_parameters(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        """Templates and other computed values are well-formed."""
        if not value:
            return value
        hydrated = hydrate(upgraded(value), _AnyVariable(), lenient=True)
        if not isinstance(hydrated, dict | Placeholder):
            raise ValueError("Invalid parameters: they must be an object")  # noqa: TRY004 - shown to clients
        found = list(_problems(hydrated, ""))
        if found:
            raise ValueError(
                "Invalid parameters: \n" + "\n  ".join(f"{key + ':' if key else ''} {text}" for key, text in found)
            )
        return value


class _AnyVariable(dict[str, Placeholder]):
    """Variables as they may be when the action is done: any that are asked for."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> Placeholder:
        return Placeholder()


def _problems(value: Any, where: str) -> Any:
    """What is wrong, by place. What is in lists is found out when it is used, as the reference does."""
    if isinstance(value, Placeholder):
        if value.problem is not None:
            yield where, value.problem
        return
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _problems(item, f"{where}{key}.")
        elif isinstance(item, Placeholder) and item.problem is not None:
            yield f"{where}{key}", item.problem


def upgraded(parameters: dict[str, Any]) -> dict[str, Any]:
    """A copy of parameters in which texts that are templates have become `__prefect_kind` objects."""
    made = copy.deepcopy(parameters)
    _upgrade(made)
    return made


def _upgrade(parameters: dict[str, Any]) -> None:
    for key, value in parameters.items():
        if isinstance(value, dict):
            if KIND not in value:
                _upgrade(value)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    _upgrade(item)
                elif isinstance(item, str) and is_template(item):
                    value[index] = _as_kind(item)
        elif isinstance(value, str) and is_template(value):
            parameters[key] = _as_kind(value)


def _as_kind(template: str) -> dict[str, Any]:
    """A template that is nothing but one expression keeps the type of its value, by way of JSON."""
    text = template.strip()
    if text.startswith("{{") and text.endswith("}}") and text.count("{{") == 1:
        expression = "{{ " + text[2:-2].strip() + " | tojson }}"
        return {KIND: "json", "value": {KIND: "jinja", "template": expression}}
    return {KIND: "jinja", "template": template}


class PauseDeployment(DeploymentAction):
    """Pause a deployment."""

    type: Literal["pause-deployment"] = "pause-deployment"


class ResumeDeployment(DeploymentAction):
    """Go on with a deployment."""

    type: Literal["resume-deployment"] = "resume-deployment"


# ---------------------------------------------------------------- flow runs
class CancelFlowRun(Action):
    """Cancel the flow run of the event."""

    type: Literal["cancel-flow-run"] = "cancel-flow-run"


class DeleteFlowRun(Action):
    """Delete the flow run of the event."""

    type: Literal["delete-flow-run"] = "delete-flow-run"


class ChangeFlowRunState(Action):
    """Propose a state to the flow run of the event."""

    type: Literal["change-flow-run-state"] = "change-flow-run-state"
    name: str | None = None
    state: StateType
    message: str | None = None
    force: bool = False


class SuspendFlowRun(Action):
    """Suspend the flow run of the event, for an hour at most."""

    type: Literal["suspend-flow-run"] = "suspend-flow-run"


class ResumeFlowRun(Action):
    """Go on with the flow run of the event."""

    type: Literal["resume-flow-run"] = "resume-flow-run"


# ---------------------------------------------------------------- work queues, work pools, automations
class WorkQueueAction(Action):
    """Something that is done to a work queue, a chosen one or that of the event."""

    source: Source = "selected"
    work_queue_id: UUID | None = None

    @model_validator(mode="after")
    def selected_work_queue_requires_id(self) -> Self:
        """An id is given if, and only if, the work queue is chosen."""
        _given_if_selected("work_queue_id", self.source, self.work_queue_id)
        return self


class PauseWorkQueue(WorkQueueAction):
    """Pause a work queue."""

    type: Literal["pause-work-queue"] = "pause-work-queue"


class ResumeWorkQueue(WorkQueueAction):
    """Go on with a work queue."""

    type: Literal["resume-work-queue"] = "resume-work-queue"


class WorkPoolAction(Action):
    """Something that is done to a work pool, a chosen one or that of the event."""

    source: Source = "selected"
    work_pool_id: UUID | None = None

    @model_validator(mode="after")
    def selected_work_pool_requires_id(self) -> Self:
        """An id is given if, and only if, the work pool is chosen."""
        _given_if_selected("work_pool_id", self.source, self.work_pool_id)
        return self


class PauseWorkPool(WorkPoolAction):
    """Pause a work pool."""

    type: Literal["pause-work-pool"] = "pause-work-pool"


class ResumeWorkPool(WorkPoolAction):
    """Go on with a work pool."""

    type: Literal["resume-work-pool"] = "resume-work-pool"


class AutomationAction(Action):
    """Something that is done to an automation, a chosen one or that of the event."""

    source: Source = "selected"
    automation_id: UUID | None = None

    @model_validator(mode="after")
    def selected_automation_requires_id(self) -> Self:
        """An id is given if, and only if, the automation is chosen."""
        _given_if_selected("automation_id", self.source, self.automation_id)
        return self


class PauseAutomation(AutomationAction):
    """Disable an automation."""

    type: Literal["pause-automation"] = "pause-automation"


class ResumeAutomation(AutomationAction):
    """Enable an automation."""

    type: Literal["resume-automation"] = "resume-automation"


# ---------------------------------------------------------------- telling others
class CallWebhook(Action):
    """Call the webhook of a block."""

    type: Literal["call-webhook"] = "call-webhook"
    block_document_id: UUID
    payload: str = ""

    @field_validator("payload", mode="before")
    @classmethod
    def ensure_payload_is_a_string(cls, value: Any) -> Any:
        """An object, as older clients send it, becomes its JSON text."""
        if value is None or isinstance(value, str):
            return value
        try:
            return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        except TypeError as error:
            raise ValueError(str(error)) from None

    @field_validator("payload")
    @classmethod
    def validate_payload_templates(cls, value: str | None) -> str | None:
        """The payload's syntax is that of a template."""
        return checked_template(value, "payload") if value else value


class SendNotification(Action):
    """Send a text through a notification block."""

    type: Literal["send-notification"] = "send-notification"
    block_document_id: UUID
    subject: str = "Prefect automated notification"
    body: str

    @field_validator("subject", "body")
    @classmethod
    def is_valid_template(cls, value: str, info: ValidationInfo) -> str:
        """Both are templates."""
        return checked_template(value, str(info.field_name))


BUILT_IN = (
    DoNothing
    | RunDeployment
    | PauseDeployment
    | ResumeDeployment
    | CancelFlowRun
    | DeleteFlowRun
    | ChangeFlowRunState
    | PauseWorkQueue
    | ResumeWorkQueue
    | SendNotification
    | CallWebhook
    | PauseAutomation
    | ResumeAutomation
    | SuspendFlowRun
    | ResumeFlowRun
    | PauseWorkPool
    | ResumeWorkPool
)
"""The built-in kinds of actions, in the order in which input is compared with them."""

_KINDS = OneOf(ACTIONS)
ServerActionTypes = Annotated[BUILT_IN, WrapValidator(_KINDS.validate), WrapSerializer(_KINDS.serialize)]
"""Any kind of action."""
