"""Typed settings under Prefect's names, read from Prefect's places.

`load()` reads everything once and gives `Settings`: `settings.server.api.port`, `settings.kernel.server`,
`settings.plugin["ACME_FREEZE"]`. A bad or unknown value is a SettingsError of one sentence each.
"""

from __future__ import annotations

from .describe import Row
from .load import load
from .plugin import Setting
from .root import Settings

__all__ = ["Row", "Setting", "Settings", "load"]
