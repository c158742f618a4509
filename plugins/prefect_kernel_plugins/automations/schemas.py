"""Bodies of the automation routes, and automations themselves."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..common.paging import Filtered, Listed
from .actions import Part, RunDeployment, ServerActionTypes
from .filters import AUTOMATIONS
from .triggers import EventTrigger, ServerTriggerTypes

_OF_EVERY_RUN = {
    "prefect.flow-run.Scheduled",
    "prefect.flow-run.Pending",
    "prefect.flow-run.Running",
    "prefect.flow-run.*",
}
"""Events of states that every run of a deployment goes through."""


class AutomationCore(Part):
    """What an automation is, apart from its id and times."""

    name: str
    description: str = ""
    enabled: bool = True
    tags: list[str] = Field(default_factory=list)
    trigger: ServerTriggerTypes
    actions: list[ServerActionTypes]
    actions_on_trigger: list[ServerActionTypes] = Field(default_factory=list)
    actions_on_resolve: list[ServerActionTypes] = Field(default_factory=list)

    @model_validator(mode="after")
    def prevent_run_deployment_loops(self) -> Self:
        """A deployment is not run because of its own runs, without end."""
        trigger = self.trigger
        if not self.enabled or not isinstance(trigger, EventTrigger) or trigger.proactive:
            return self
        if not _OF_EVERY_RUN.intersection(trigger.expect):
            return self
        for action in self.actions:
            if not isinstance(action, RunDeployment):
                continue
            if action.source == "inferred":
                raise ValueError(
                    "Running an inferred deployment from a flow run state change event will lead to an infinite loop of"
                    " flow runs.  Please choose a specific deployment and add additional filtering labels to the match"
                    " or match_related for this automation's trigger."
                )
            if trigger.covers_every_flow_run:
                raise ValueError(
                    "Running a selected deployment from a flow run state change event may lead to an infinite loop of"
                    " flow runs.  Please include additional filtering labels on either match or match_related to narrow"
                    " down which flow runs will trigger this automation to exclude flow runs from the deployment you've"
                    " selected."
                )
        return self


class Automation(AutomationCore):
    """An automation as it is stored and shown."""

    id: UUID
    created: datetime
    updated: datetime


class AutomationCreate(AutomationCore):
    """An automation to be made; `owner_resource` is what it belongs to."""

    model_config = ConfigDict(extra="forbid")

    owner_resource: str | None = None


class AutomationUpdate(AutomationCore):
    """An automation to be put in the place of another."""

    model_config = ConfigDict(extra="forbid")


class AutomationPartialUpdate(BaseModel):
    """What may be changed in an automation by itself."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool = True


class AutomationSort(str, Enum):
    """How lists of automations can be sorted."""

    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"


class _List(Listed):
    sort: AutomationSort = AutomationSort.NAME_ASC


AutomationList = AUTOMATIONS.body("AutomationList", _List, order="limit sort offset *")
AutomationCount = AUTOMATIONS.body("AutomationCount", Filtered)
