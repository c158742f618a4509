"""The built-in brokers keep the contract of brokers."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from prefect_kernel.ports.broker import Broker
from prefect_kernel.testing.contracts import BrokerContract
from prefect_kernel_plugins.broker_memory import open_memory


class TestMemory(BrokerContract):
    """The broker of one process."""

    def open(self, tmp_path: Path) -> AbstractAsyncContextManager[Broker]:
        return open_memory(None)
