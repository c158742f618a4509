"""Forgetting what is too old."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from prefect_kernel import Service

from . import DAYS, queries

BATCH = 1000
"""Rows that are deleted in one transaction."""


class AuditRetention(Service):
    """Deletes rows of the audit log that are older than PREFECT_KERNEL_AUDIT_RETENTION_DAYS."""

    name: ClassVar[str] = "audit-retention"
    setting: ClassVar[str] = DAYS

    @classmethod
    def every(cls, settings: Any) -> float:
        return 3600.0

    async def tick(self) -> None:
        kernel = self.kernel
        before = kernel.clock.now() - timedelta(days=kernel.settings.plugin[DAYS])
        while await kernel.storage.write(queries.forget, before, BATCH) == BATCH:
            pass
