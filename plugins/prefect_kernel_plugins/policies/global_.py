"""The policies that every transition runs, inside of the chosen one."""

from prefect_kernel.policy import Policy

from .rules.bookkeeping import (
    IncrementRunTime,
    SetEndTime,
    SetExpectedStartTime,
    SetNextScheduledStartTime,
    SetRunStateName,
    SetRunStateTimestamp,
    SetRunStateType,
    SetStartTime,
    UpdateStateDetails,
)
from .rules.flow_bookkeeping import (
    EnsureFlowRunStateTimestampIsUnique,
    IncrementFlowRunCount,
    RemoveResumingIndicator,
    UpdateSubflowParentTask,
    UpdateSubflowStateDetails,
)
from .rules.task_bookkeeping import IncrementTaskRunCount

GLOBAL_FLOW = Policy(
    "global-flow",
    "flow_run",
    [
        EnsureFlowRunStateTimestampIsUnique,
        SetRunStateType,
        SetRunStateName,
        SetRunStateTimestamp,
        SetStartTime,
        SetEndTime,
        IncrementRunTime,
        SetExpectedStartTime,
        SetNextScheduledStartTime,
        UpdateStateDetails,
        UpdateSubflowParentTask,
        UpdateSubflowStateDetails,
        IncrementFlowRunCount,
        RemoveResumingIndicator,
    ],
    composed=True,
)

GLOBAL_TASK = Policy(
    "global-task",
    "task_run",
    [
        SetRunStateType,
        SetRunStateName,
        SetRunStateTimestamp,
        SetStartTime,
        SetEndTime,
        IncrementRunTime,
        SetExpectedStartTime,
        SetNextScheduledStartTime,
        UpdateStateDetails,
        IncrementTaskRunCount,
    ],
    composed=True,
)
