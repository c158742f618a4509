"""prefect-kernel: a small kernel for a Prefect 3 server; everything else is a plugin.

The names below are the promise to plugin authors; `API_VERSION` moves with them and with the hooks.
"""

from .hookspecs import hookimpl
from .policy import Insert, Policy, Remove, Replace
from .services import Service
from .transition import FlowRule, FlowTransform, Move, State, TaskRule, TaskTransform
from .versions import API_VERSION, VERSION

__version__ = VERSION

__all__ = [
    "API_VERSION",
    "FlowRule",
    "FlowTransform",
    "Insert",
    "Move",
    "Policy",
    "Remove",
    "Replace",
    "Service",
    "State",
    "TaskRule",
    "TaskTransform",
    "hookimpl",
]
