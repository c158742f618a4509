"""The policy of flow runs."""

from prefect_kernel.policy import Policy

from .rules.admission import (
    CopyScheduledTime,
    EnsureOnlyScheduledFlowsMarkedLate,
    PreventDuplicateTransitions,
    PreventPendingTransitions,
    WaitForScheduledTime,
)
from .rules.flow_cancelling import BypassCancellingFlowRunsWithNoInfra, EnforceCancellingToCancelledTransition
from .rules.flow_concurrency import (
    PreserveDeploymentConcurrencyLeaseId,
    ReleaseFlowConcurrencySlots,
    RemoveDeploymentConcurrencyLeaseForOldClientVersions,
    SecureFlowConcurrencySlots,
    ValidateDeploymentConcurrencyAtRunning,
)
from .rules.flow_pausing import HandlePausingFlows, HandleResumingPausedFlows
from .rules.flow_terminal import HandleFlowTerminalStateTransitions
from .rules.instrumentation import InstrumentFlowRunStateTransitions
from .rules.retries import RetryFailedFlows

CORE_FLOW = Policy(
    "core-flow",
    "flow_run",
    [
        PreserveDeploymentConcurrencyLeaseId,
        PreventDuplicateTransitions,
        HandleFlowTerminalStateTransitions,
        EnforceCancellingToCancelledTransition,
        BypassCancellingFlowRunsWithNoInfra,
        PreventPendingTransitions,
        ValidateDeploymentConcurrencyAtRunning,
        SecureFlowConcurrencySlots,
        RemoveDeploymentConcurrencyLeaseForOldClientVersions,
        EnsureOnlyScheduledFlowsMarkedLate,
        HandlePausingFlows,
        HandleResumingPausedFlows,
        CopyScheduledTime,
        WaitForScheduledTime,
        RetryFailedFlows,
        InstrumentFlowRunStateTransitions,
        ReleaseFlowConcurrencySlots,
    ],
)
