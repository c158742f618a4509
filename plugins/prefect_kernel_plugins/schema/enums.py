"""Column types of the enumerations in the schema; labels in the order of PostgreSQL's types."""

from __future__ import annotations

from prefect_kernel.sql.types import Enum

STATE_TYPE = Enum(
    "state_type",
    ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING"],
)
DEPLOYMENT_STATUS = Enum("deployment_status", ["READY", "NOT_READY"])
WORK_POOL_STATUS = Enum("work_pool_status", ["READY", "NOT_READY", "PAUSED"])
WORK_QUEUE_STATUS = Enum("work_queue_status", ["READY", "NOT_READY", "PAUSED"])
WORKER_STATUS = Enum("worker_status", ["ONLINE", "OFFLINE"])
