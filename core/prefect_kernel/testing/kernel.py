"""A kernel for a test: opened on a database of its own, with a clock that stands still and no services running."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from ..app import Kernel
from ..events import outbox
from ..plugins import Plugins
from ..settings import load
from ..sql import Statement, Unit
from ..transition import STATE_TYPES, Move
from .client import Answer, Client
from .clock import SettableClock
from .loop import LoopThread

T = TypeVar("T")

MakeKernel = Callable[..., "KernelUnderTest"]

_NAMED_TYPES = {
    "Late": "SCHEDULED",
    "AwaitingRetry": "SCHEDULED",
    "AwaitingConcurrencySlot": "SCHEDULED",
    "Retrying": "RUNNING",
    "Suspended": "PAUSED",
    "TimedOut": "FAILED",
    "Cached": "COMPLETED",
}
_EVENTS = Statement(
    sa.select(outbox.c.seq, outbox.c.event)
    .where(outbox.c.seq > sa.bindparam("after", type_=sa.BigInteger()))
    .order_by(outbox.c.seq)
)


class RefusedError(AssertionError):
    """A request that the kit made for a test was refused."""


@dataclass(frozen=True)
class Verdict:
    """What became of a proposed state."""

    status: str
    """`ACCEPT`, `REJECT`, `ABORT` or `WAIT`."""
    state: dict[str, Any] | None
    """The state that the run has been given, as clients see it."""
    details: dict[str, Any] = field(default_factory=dict)
    trail: Sequence[tuple[str, str, str | None]] = ()
    """(rule, outcome, reason) of every rule that was chosen, in order."""

    @property
    def reason(self) -> str | None:
        """Why it was not accepted."""
        reason: str | None = self.details.get("reason")
        return reason

    @property
    def rules(self) -> list[str]:
        """The names of the rules that were asked, in order."""
        return [name for name, outcome, _ in self.trail if outcome != "skipped"]


class KernelUnderTest:
    """A kernel, and what a test wants to do with it."""

    def __init__(self, kernel: Kernel, loop: LoopThread, clock: SettableClock) -> None:
        self.kernel, self.clock = kernel, clock
        self.client = Client(kernel, loop)
        self._loop = loop
        self._moves: list[Move] = []
        self._events: list[dict[str, Any]] = []
        self._seen = 0
        self._made = 0
        self._shown_before = kernel.on_move
        kernel.on_move = self._show

    def _show(self, move: Move) -> None:
        self._moves.append(move)
        if self._shown_before is not None:
            self._shown_before(move)

    @classmethod
    @contextmanager
    def opened(
        cls, home: Path, plugins: Sequence[Any], storage: str, settings: dict[str, Any]
    ) -> Iterator[KernelUnderTest]:
        """Make a kernel in the directory `home`, open it, and close it at the end."""
        home.mkdir(parents=True)
        url = f"sqlite+aiosqlite:///{home / 'kernel.db'}" if storage == "sqlite" else storage
        overrides = {
            "kernel.no_autoload": True,
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": False,
            **settings,
        }
        loaded = load(environ={"PREFECT_HOME": str(home)}, cwd=home, overrides=overrides)
        kernel = Kernel(loaded, Plugins.of(loaded, *plugins))
        clock = SettableClock()
        with LoopThread() as loop:
            loop.run(kernel.open(clock=clock, paused=True))
            try:
                yield cls(kernel, loop, clock)
            finally:
                loop.run(kernel.close())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the kernel's event loop."""
        return self._loop.run(coroutine)

    # ------------------------------------------------------------ runs
    def flow_run(self, **fields: Any) -> dict[str, Any]:
        """Create a flow run, of a flow of its own unless `flow_id` is given, as clients see it."""
        self._made += 1
        if "flow_id" not in fields:
            fields["flow_id"] = _ok(self.client.post("/flows/", json={"name": f"flow-{self._made}"}))["id"]
        made: dict[str, Any] = _ok(self.client.post("/flow_runs/", json=fields))
        return made

    def task_run(self, **fields: Any) -> dict[str, Any]:
        """Create a task run, of a flow run of its own unless `flow_run_id` is given, as clients see it."""
        self._made += 1
        if "flow_run_id" not in fields:
            fields["flow_run_id"] = self.flow_run()["id"]
        body = {"task_key": f"task-{self._made}", "dynamic_key": "0", **fields}
        made: dict[str, Any] = _ok(self.client.post("/task_runs/", json=body))
        return made

    def propose(self, run: dict[str, Any] | str, state: str, *, force: bool = False, **fields: Any) -> Verdict:
        """Propose a state to a run: `propose(run, "Running")`, or `propose(run, "Held", type="SCHEDULED", …)`.

        `run` is what `flow_run` or `task_run` gave, or the id of a flow run. `fields` are those of the state.
        """
        kind, id_ = ("flow_runs", run) if isinstance(run, str) else (_kind(run), run["id"])
        body = {"type": fields.pop("type", None) or _type(state), "name": state, **fields}
        self._moves.clear()
        answer = _ok(self.client.post(f"/{kind}/{id_}/set_state", json={"state": body, "force": force}))
        trail = tuple(self._moves[0].trail) if self._moves else ()
        return Verdict(answer["status"], answer["state"], answer["details"] or {}, trail)

    # ------------------------------------------------------------ services and events
    def tick(self, name: str) -> None:
        """Run one round of a service; what it raises is raised here."""
        services = self.kernel.supervisor.services
        if name not in services:
            raise LookupError(f"There is no service {name!r}; there are {', '.join(services) or 'none'}.")
        self._collect()
        self.run(services[name].tick())

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that the server has emitted, oldest first; only those of transactions that were committed."""
        self._collect()
        return list(self._events)

    def _collect(self) -> None:
        def unread(after: int) -> Unit[list[tuple[int, str]]]:
            rows: list[tuple[int, str]] = yield _EVENTS(after=after)
            return rows

        for seq, event in self.run(self.kernel.storage.read(unread, self._seen)):
            self._seen = seq
            self._events.append(json.loads(event))


def _ok(answer: Answer) -> Any:
    if answer.status >= 300:
        raise RefusedError(f"{answer.status}: {answer.text}")
    return answer.json()


def _kind(run: dict[str, Any]) -> str:
    return "task_runs" if "task_key" in run else "flow_runs"


def _type(name: str) -> str:
    upper = name.upper()
    if upper in STATE_TYPES:
        return upper
    if name in _NAMED_TYPES:
        return _NAMED_TYPES[name]
    raise ValueError(f"{name!r} is no type of state; say which one it has with type=…")
