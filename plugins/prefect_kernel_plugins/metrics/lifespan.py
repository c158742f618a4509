"""Connecting the instruments with a kernel, for as long as it lives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from prefect_kernel.stash import StashKey

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

    from .instruments import Instruments

INSTRUMENTS: StashKey[Instruments] = StashKey("the instruments of the metrics")


@asynccontextmanager
async def measuring(kernel: Kernel) -> AsyncIterator[None]:
    """Measure requests, decisions and warnings; does nothing when metrics are off."""
    if not kernel.settings.server.metrics_enabled:
        yield
        return
    from .instruments import Instruments

    instruments = kernel.stash[INSTRUMENTS] = Instruments(kernel)
    before = kernel.on_move
    kernel.dispatcher.observe = instruments.request
    kernel.on_move = instruments.move_before(before)
    instruments.listen()
    try:
        yield
    finally:
        instruments.deafen()
        kernel.on_move, kernel.dispatcher.observe = before, None
