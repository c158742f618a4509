"""The built-in policies: which rules judge a proposed state, in which order.

`core_flow.py`, `core_task.py`, `minimal.py` and `global_.py` hold the ordered lists, with Prefect's names; the rules
are in `rules/`.
"""

from __future__ import annotations

from collections.abc import Iterable

from prefect_kernel import hookimpl
from prefect_kernel.policy import Policy


@hookimpl
def kernel_policies() -> Iterable[Policy]:
    """The built-in policies."""
    from . import core_flow, core_task, global_, minimal

    return [
        core_flow.CORE_FLOW,
        minimal.MINIMAL_FLOW,
        minimal.MARK_LATE_RUNS,
        core_task.CORE_TASK,
        core_task.CLIENT_SIDE_TASK,
        core_task.BACKGROUND_TASK,
        minimal.MINIMAL_TASK,
        global_.GLOBAL_FLOW,
        global_.GLOBAL_TASK,
    ]
