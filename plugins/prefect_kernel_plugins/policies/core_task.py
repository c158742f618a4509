"""The policies of task runs: orchestrated by the server, by the client, and run in the background."""

from prefect_kernel.policy import Policy

from .rules.admission import CopyScheduledTime, PreventPendingTransitions, WaitForScheduledTime
from .rules.retries import RenameReruns, RetryFailedTasks
from .rules.task_background import CopyTaskParametersID, EnqueueScheduledTasks
from .rules.task_bookkeeping import UpdateFlowRunTrackerOnTasks
from .rules.task_caching import CacheInsertion, CacheRetrieval
from .rules.task_concurrency import ReleaseTaskConcurrencySlots, SecureTaskConcurrencySlots
from .rules.task_states import HandleTaskTerminalStateTransitions, PreventRunningTasksFromStoppedFlows

CORE_TASK = Policy(
    "core-task",
    "task_run",
    [
        CacheRetrieval,
        HandleTaskTerminalStateTransitions,
        PreventRunningTasksFromStoppedFlows,
        SecureTaskConcurrencySlots,  # after the cache, which needs no slot
        CopyScheduledTime,
        WaitForScheduledTime,
        RetryFailedTasks,
        RenameReruns,
        UpdateFlowRunTrackerOnTasks,
        CacheInsertion,
        ReleaseTaskConcurrencySlots,
    ],
)

CLIENT_SIDE_TASK = Policy(
    "client-side-task",
    "task_run",
    [
        CacheRetrieval,
        HandleTaskTerminalStateTransitions,
        PreventRunningTasksFromStoppedFlows,
        CopyScheduledTime,
        WaitForScheduledTime,
        RetryFailedTasks,
        RenameReruns,
        UpdateFlowRunTrackerOnTasks,
        CacheInsertion,
        ReleaseTaskConcurrencySlots,
    ],
)

BACKGROUND_TASK = Policy(
    "background-task",
    "task_run",
    [
        PreventPendingTransitions,
        CacheRetrieval,
        HandleTaskTerminalStateTransitions,
        CopyScheduledTime,
        CopyTaskParametersID,
        WaitForScheduledTime,
        RetryFailedTasks,
        RenameReruns,
        UpdateFlowRunTrackerOnTasks,
        CacheInsertion,
        ReleaseTaskConcurrencySlots,
        EnqueueScheduledTasks,
    ],
    composed=True,
)
