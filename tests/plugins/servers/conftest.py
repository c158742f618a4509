"""Each scenario runs on each server; the default server also on asyncio's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from prefect_kernel.ports.server import ServerRunner, loop_factory
from prefect_kernel_plugins.server_hypercorn import HypercornRunner
from prefect_kernel_plugins.server_uvicorn import UvicornRunner

KINDS: dict[str, tuple[type[ServerRunner], bool]] = {
    "hypercorn": (HypercornRunner, True),
    "hypercorn-asyncio": (HypercornRunner, False),
    "uvicorn": (UvicornRunner, True),
}


class Stage:
    """A runner, and the loop to try it in."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        cls, self._uvloop = KINDS[kind]
        self.runner = cls()

    def play(self, scenario: Callable[[ServerRunner], Coroutine[Any, Any, None]]) -> None:
        """Run a scenario to its end; errors that nobody handled fail it too."""
        unhandled: list[dict[str, Any]] = []
        with asyncio.Runner(loop_factory=loop_factory() if self._uvloop else None) as loops:
            loops.get_loop().set_exception_handler(lambda _, context: unhandled.append(context))
            loops.run(asyncio.wait_for(scenario(self.runner), 60))
        assert not unhandled


@pytest.fixture(params=list(KINDS))
def stage(request: pytest.FixtureRequest) -> Stage:
    """One of the servers."""
    return Stage(request.param)
