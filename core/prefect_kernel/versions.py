"""Versions that people, plugins and clients are told."""

from typing import Final

VERSION: Final = "0.1.0"
"""The version of this server."""

API_VERSION: Final = "1.0"
"""Version of the hooks and of the names in `prefect_kernel`; a plugin says which it needs as `KERNEL_API`.

A hook or a name that is added moves the second number; one that is removed or changes its meaning moves the first.
"""

PREFECT_VERSION: Final = "3.8.8"
"""The Prefect whose API this server speaks."""

PREFECT_API_VERSION: Final = "0.8.4"
"""The version of that API."""
