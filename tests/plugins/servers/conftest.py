"""Each scenario runs on each server; on asyncio's own loop too, for those that run on what the loop offers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, NamedTuple

import pytest

from prefect_kernel.ports.server import ServerRunner, loop_factory
from prefect_kernel_plugins.server_hypercorn import HypercornRunner
from prefect_kernel_plugins.server_native import NativeRunner
from prefect_kernel_plugins.server_uvicorn import UvicornRunner


class Can(Enum):
    """What not every server does. A test that needs it says so: `@needs(Can.…)`."""

    LIMIT_BODIES = "refuse a body that is too large before the application has read it"
    ANSWER_BAD_HEADS = "say 408 to a head that is too slow, and 431 to one that is too large"
    REFUSE_ODDITIES = "refuse versions, methods and framings that HTTP/1.1 knows and this server has no use for"
    STAY_WITH_HTTP1 = "answer in HTTP/1.1 whatever else is asked for"
    DROP_BODIES = "go on after a request that was answered before its body had come"
    ASK_LATE = "ask for a body (100) when the application asks for it"
    COUNT = "add the length of a response that is sent whole"
    HOLD_HEADS = "hold the head of a response back until something follows it"
    READ_PROXY_TARGETS = "take the path out of a target with scheme and host"
    TELL_UPGRADES = "tell which requests with `Upgrade: websocket` ask for a WebSocket"


class Kind(NamedTuple):
    """A server as it is tried."""

    runner: type[ServerRunner]
    uvloop: bool
    cannot: frozenset[Can] = frozenset()


KINDS = {
    "native": Kind(NativeRunner, True),
    "native-asyncio": Kind(NativeRunner, False),
    "hypercorn": Kind(HypercornRunner, True, frozenset(Can)),  # test_hypercorn.py says what it does instead
    "hypercorn-asyncio": Kind(HypercornRunner, False, frozenset(Can)),
    "uvicorn": Kind(UvicornRunner, True),
}

needs = pytest.mark.needs


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "needs(*can): only for servers that can do this")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out the tests of a server that need what it cannot do."""
    out = [item for item in items if _needs(item) & _lacks(item)]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in set(out)]


def _needs(item: pytest.Item) -> set[Can]:
    return {can for mark in item.iter_markers("needs") for can in mark.args}


def _lacks(item: pytest.Item) -> frozenset[Can]:
    parameters: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    return KINDS[parameters["stage"]].cannot if "stage" in parameters else frozenset()


class Stage:
    """A runner, and the loop to try it in."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._uvloop = KINDS[kind].uvloop
        self.runner = KINDS[kind].runner()

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
