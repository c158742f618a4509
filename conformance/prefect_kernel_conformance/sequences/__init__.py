"""Hand-written sequences: one module per group, which a new group only has to add to."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Import every module, so that it declares its sequences."""
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{__name__}.{module.name}")
