"""The reconciler: what workers have had for too long is handed out again."""

from __future__ import annotations

from typing import Any, ClassVar

from prefect_kernel import Service

from .cleanup import queue_of


class CleanupReconciler(Service):
    """Ends the leases of messages that nobody has renewed."""

    name: ClassVar[str] = "cleanup-reconciler"
    setting: ClassVar[str] = "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_ENABLED"
    client_facing: ClassVar[bool] = True

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        return bool(settings.server.services.cleanup_reconciler.enabled)

    @classmethod
    def every(cls, settings: Any) -> float:
        return float(settings.server.services.cleanup_reconciler.loop_seconds)

    async def tick(self) -> None:
        queue_of(self.kernel).expire(self.kernel.settings.server.services.cleanup_reconciler.batch_size)
