"""The policies of forced transitions, which must do without judgement but not without bookkeeping, and of lateness."""

from prefect_kernel.policy import Policy

from .rules.admission import EnsureOnlyScheduledFlowsMarkedLate
from .rules.flow_cancelling import BypassCancellingFlowRunsWithNoInfra
from .rules.flow_concurrency import EnforceDeploymentConcurrencyOnLate, ReleaseFlowConcurrencySlots
from .rules.flow_terminal import PreventResultDataLoss
from .rules.instrumentation import InstrumentFlowRunStateTransitions
from .rules.task_concurrency import ReleaseTaskConcurrencySlots

MINIMAL_FLOW = Policy(
    "minimal-flow",
    "flow_run",
    [
        PreventResultDataLoss,
        BypassCancellingFlowRunsWithNoInfra,
        InstrumentFlowRunStateTransitions,
        ReleaseFlowConcurrencySlots,
    ],
    composed=True,
)

MARK_LATE_RUNS = Policy(
    "mark-late-runs",
    "flow_run",
    [
        EnsureOnlyScheduledFlowsMarkedLate,
        EnforceDeploymentConcurrencyOnLate,
        InstrumentFlowRunStateTransitions,
    ],
)

MINIMAL_TASK = Policy("minimal-task", "task_run", [ReleaseTaskConcurrencySlots], composed=True)
