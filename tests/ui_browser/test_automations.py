"""Automations made in the interface: each kind fires once, does what it says, and the event feed shows it."""

from __future__ import annotations

import pytest

from . import automating
from .browser import Walker
from .conftest import Site
from .support import OWN_MISTAKES

pytestmark = [pytest.mark.reference, pytest.mark.timeout(600, func_only=True)]


@pytest.fixture(autouse=True)
def forgiving(walk: Walker) -> None:
    """What the interface does wrong by itself is no concern of these tests."""
    walk.forgive(*OWN_MISTAKES)


def test_reactive(walk: Walker, site: Site, version: str) -> None:
    """A flow fails, and a deployment runs."""
    automating.react(walk, site, version)


def test_proactive(walk: Walker, site: Site, version: str) -> None:
    """Nothing happens for a while, and somebody is told."""
    automating.miss(walk, site, version)


def test_compound(walk: Walker, site: Site, version: str) -> None:
    """Two things have happened, in whatever order, and somebody is told."""
    automating.join(walk, site, version)
