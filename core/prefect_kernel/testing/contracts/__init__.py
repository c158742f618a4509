"""What every driver of a port must do, as tests: subclass a contract, say how to open your driver, and pass.

    class TestMyLeases(LeaseContract):
        def open(self, tmp_path):
            return open_my_leases(...)

The tests are methods, so nothing but `open` and an import is needed. None of them needs an event loop of the test's.
"""

import pytest

# So that a failing assertion in a contract says what was compared, as it does in a test file.
pytest.register_assert_rewrite(f"{__name__}.storage", f"{__name__}.broker", f"{__name__}.leases")

from .broker import BrokerContract, SharedBrokerContract  # noqa: E402 - after the line above, or it has no effect
from .leases import LeaseContract  # noqa: E402
from .storage import StorageContract  # noqa: E402

__all__ = ["BrokerContract", "LeaseContract", "SharedBrokerContract", "StorageContract"]
