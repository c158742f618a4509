"""Versions that clients are told."""

from typing import Final

PREFECT_VERSION: Final = "3.8.8"
"""The Prefect whose API this server speaks."""

PREFECT_API_VERSION: Final = "0.8.4"
"""The version of that API."""
