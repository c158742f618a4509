"""SQL for the kernel: column types, statements compiled once, and what differs between the dialects.

Everything here is about *describing* statements; running them is the storage port's business.
"""

from .statement import Batch, Call, Compiled, Statement, Unit, by_dialect, in_list, inserting, json_value, point_read
from .types import metadata

__all__ = [
    "Batch",
    "Call",
    "Compiled",
    "Statement",
    "Unit",
    "by_dialect",
    "in_list",
    "inserting",
    "json_value",
    "metadata",
    "point_read",
]
