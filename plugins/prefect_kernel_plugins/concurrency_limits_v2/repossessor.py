"""The repossessor: gives back the slots of leases whose time has run out."""

from __future__ import annotations

from typing import Any, ClassVar

from prefect_kernel import Service
from prefect_kernel.declare import follow_up

from .slot_units import end_lease

BATCH = 100
"""Leases looked at in one round."""


class Repossessor(Service):
    """A holder that has died does not renew its lease; what it held is free again after it."""

    name: ClassVar[str] = "repossessor"
    setting: ClassVar[str] = "PREFECT_SERVER_SERVICES_REPOSSESSOR_ENABLED"

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        return bool(settings.server.services.repossessor.enabled)

    @classmethod
    def every(cls, settings: Any) -> float:
        return float(settings.server.services.repossessor.loop_seconds)

    async def tick(self) -> None:
        kernel = self.kernel
        now = kernel.clock.now()
        for lease_id in await kernel.storage.read(kernel.leases.expired, now, BATCH):
            declared = await kernel.storage.write(end_lease, kernel, lease_id, now, only_expired=True, last=True)
            await follow_up(declared.on_commit)
