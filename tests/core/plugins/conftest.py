"""A machine to install plugins on."""

from __future__ import annotations

from pathlib import Path

import pytest

from .support import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Somewhere on the import path."""
    return Machine(tmp_path / "site", monkeypatch)
