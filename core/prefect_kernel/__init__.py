"""prefect-kernel: a small kernel for a Prefect 3 server; everything else is a plugin.

The names below are the promise to plugin authors; `API_VERSION` moves with them and with the hooks.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .versions import API_VERSION, VERSION

if TYPE_CHECKING:
    from .hookspecs import hookimpl
    from .policy import Insert, Policy, Remove, Replace
    from .services import Service
    from .transition import FlowRule, FlowTransform, Move, State, TaskRule, TaskTransform

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

_HOMES = {
    "hookspecs": ["hookimpl"],
    "policy": ["Insert", "Policy", "Remove", "Replace"],
    "services": ["Service"],
    "transition": ["FlowRule", "FlowTransform", "Move", "State", "TaskRule", "TaskTransform"],
}


def __getattr__(name: str) -> Any:
    """Import what a name stands for when it is first asked for: commands that need no database start at once."""
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f".{module}", __name__), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
