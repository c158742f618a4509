"""What a rule sees of a transition, and what it may declare: states, moves, and the base classes of rules.

Nothing is written here: rules read and *declare*; the slice that owns the run applies the declared writes in one
guarded transaction. `engine` runs policies on a move.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from datetime import datetime
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, ClassVar

from .ids import uuid7
from .sql import Call, Unit

if TYPE_CHECKING:
    from .app import Kernel

log = logging.getLogger("prefect_kernel.transition")

STATE_TYPES = (
    "SCHEDULED",
    "PENDING",
    "RUNNING",
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "CRASHED",
    "PAUSED",
    "CANCELLING",
)
ALL_STATES: frozenset[str | None] = frozenset({*STATE_TYPES, None})
TERMINAL_STATES = frozenset({"COMPLETED", "CANCELLED", "FAILED", "CRASHED"})

HOOKS = ("before", "after", "cleanup")

ACCEPT, REJECT, ABORT, WAIT = "ACCEPT", "REJECT", "ABORT", "WAIT"

DETAIL_DEFAULTS: dict[str, Any] = {
    "flow_run_id": None,
    "task_run_id": None,
    "child_flow_run_id": None,
    "scheduled_time": None,
    "cache_key": None,
    "cache_expiration": None,
    "deferred": False,
    "untrackable_result": False,
    "pause_timeout": None,
    "pause_reschedule": False,
    "pause_key": None,
    "run_input_keyset": None,
    "refresh_cache": None,
    "retriable": None,
    "transition_id": None,
    "task_parameters_id": None,
    "traceparent": None,
    "deployment_concurrency_lease_id": None,
}
"""state_details with every key, in the order of the wire."""


class State:
    """A state of a run. `details` has every key of DETAIL_DEFAULTS; times in it are datetimes, ids are text.

    A scheduled state always says for when: unless told otherwise, for the time at which it was made.
    """

    __slots__ = ("data", "details", "id", "message", "name", "timestamp", "type")

    def __init__(
        self,
        type: str,
        *,
        name: str | None = None,
        message: str | None = None,
        data: Any = None,
        details: dict[str, Any] | None = None,
        timestamp: datetime,
        id: str | None = None,
    ) -> None:
        self.type, self.message, self.data, self.timestamp = type, message, data, timestamp
        self.name = name if name is not None else type.title()
        self.id = id or uuid7()
        self.details = {**DETAIL_DEFAULTS, **details} if details else dict(DETAIL_DEFAULTS)
        if type == "SCHEDULED" and self.details["scheduled_time"] is None:
            self.details["scheduled_time"] = timestamp

    @property
    def is_final(self) -> bool:
        return self.type in TERMINAL_STATES

    def fresh_copy(self, now: datetime, **changes: Any) -> State:
        """The same state as a new one: new id, timestamp `now`."""
        values: dict[str, Any] = {
            "type": self.type,
            "name": self.name,
            "message": self.message,
            "data": self.data,
            "details": dict(self.details),
            "timestamp": now,
        }
        return State(**{**values, **changes})

    def copy(self) -> State:
        """An equal state; `data` is shared."""
        return State(
            self.type,
            name=self.name,
            message=self.message,
            data=self.data,
            details=self.details,
            timestamp=self.timestamp,
            id=self.id,
        )

    def to_json(self) -> dict[str, Any]:
        """The state as clients see it."""
        return {
            "id": self.id,
            "type": self.type,
            "name": self.name,
            "timestamp": self.timestamp,
            "message": self.message,
            "data": self.data,
            "state_details": self.details,
        }


class Move:
    """One proposed transition of one run, from its snapshot to a decision.

    `run` holds the run's columns and is live: what a rule or transform sets in it is written when the transition is
    applied. `initial` and `proposed` are the states; `validated` is the proposed state once it was committed to.
    """

    __slots__ = (
        "api_version",
        "asked",
        "client_version",
        "commit",
        "context",
        "details",
        "error",
        "events",
        "foreign_writes",
        "initial",
        "intended",
        "kernel",
        "kind",
        "now",
        "on_commit",
        "policies",
        "proposed",
        "run",
        "status",
        "trail",
        "validated",
        "writes",
    )

    def __init__(
        self,
        kernel: Kernel,
        kind: str,
        run: dict[str, Any],
        initial: State | None,
        proposed: State | None,
        now: datetime,
        *,
        context: dict[str, Any] | None = None,
        api_version: tuple[int, int, int] | None = None,
        client_version: str | None = None,
    ) -> None:
        self.kernel, self.kind, self.run, self.now = kernel, kind, run, now
        self.initial, self.proposed = initial, proposed
        self.validated: State | None = None
        self.context: dict[str, Any] = context or {}
        """Further snapshot data, such as `deployment`, `flow`, `flow_run`, `limit`."""
        self.api_version, self.client_version = api_version, client_version
        self.status = ACCEPT
        self.details: dict[str, Any] = {"type": "accept_details"}
        self.error: BaseException | None = None
        self.writes: list[tuple[Call, int | None]] = []
        """Declared writes, applied in order in the transaction of the transition."""
        self.events: list[dict[str, Any]] = []
        self.on_commit: list[Any] = []
        """Functions without arguments, called once the transaction is committed; what they return is awaited."""
        self.trail: list[tuple[str, str, str | None]] = []
        """(rule, outcome, reason) of every rule that was asked, in order."""
        self.foreign_writes: list[str] = []
        """Rules of third parties that have declared something to be written (statements, events, a state, columns of
        the run), for who must say whose fault it is when that is refused."""
        self.commit: Callable[[], Unit[None]] | None = None
        """Left by a unit that decides `detached`: writes what was decided, or raises Raced when that is outdated."""
        self.asked: Rule | None = None
        """The rule whose `before` is running."""
        self.intended: tuple[str | None, str | None] = (None, None)
        """The types of the current and the proposed state at the beginning, by which rules were chosen."""
        self.policies: tuple[str, ...] = ()
        """The policies that were asked."""

    @property
    def initial_type(self) -> str | None:
        return None if self.initial is None else self.initial.type

    @property
    def proposed_type(self) -> str | None:
        return None if self.proposed is None else self.proposed.type

    # ------------------------------------------------------------ what a rule may decide
    def _decide(self, status: str, state: State | None, details: dict[str, Any]) -> None:
        if self.validated is not None:
            raise RuntimeError("The transition is already validated.")
        self.proposed, self.status, self.details = state, status, details
        if self.asked is not None:
            self.asked.to_type = None if state is None else state.type
            self.asked.outcome = status
            self.asked.reason = details.get("reason")

    def reject(self, state: State | None, reason: str | None) -> None:
        """Refuse the proposal and commit `state` instead; with None nothing is written."""
        if state is None and self.initial is None:
            raise RuntimeError("Without a current state a rejection needs a state to go to.")
        self._decide(REJECT, state, {"type": "reject_details", "reason": reason})

    def abort(self, reason: str | None) -> None:
        """Refuse the proposal and tell the client to stop."""
        self._decide(ABORT, None, {"type": "abort_details", "reason": reason})

    def wait(self, delay_seconds: float, reason: str | None) -> None:
        """Tell the client to propose again after `delay_seconds`, of which clients only know whole ones."""
        seconds: Any = delay_seconds
        if isinstance(seconds, float) and isfinite(seconds):
            seconds = ceil(seconds)
        self._decide(WAIT, None, {"type": "wait_details", "delay_seconds": seconds, "reason": reason})

    def delay(self, until: datetime, reason: str | None) -> None:
        """Wait until a point in time."""
        self.wait(max(1, round((until - self.now).total_seconds())), reason)

    def rename(self, name: str) -> None:
        """Keep the proposed state under another name."""
        if self.proposed is not None:
            self.proposed.name = name

    # ------------------------------------------------------------ what a rule may declare
    def write(self, call: Call, expect: int | None = None) -> None:
        """Have a statement run in the transaction of the transition.

        With `expect`, the number of rows that it must touch (or return); otherwise somebody was faster, and the whole
        decision is made again on fresh data.
        """
        self.writes.append((call, expect))

    def emit(self, event: dict[str, Any]) -> None:
        """Have an event recorded in the same transaction, and published after it.

        It is as in Prefect's schema. To an event of a third party's rule its `id`, the time (`occurred`) and the run as
        its `resource` are added where they are missing.
        """
        self.events.append(event)


class Rule:
    """Base of rules and transforms.

    `before` may be a plain function, a generator that yields read statements, or `async`. So may `after` and `cleanup`.

    A policy with rules of third parties decides outside of the transaction, on what it has read, and then writes only
    if that is still so: a hook that hangs would otherwise hold up everybody's writes. A rule that is `inline` is asked
    inside of the transaction, on its snapshot.
    """

    name: ClassVar[str | None] = None
    from_states: ClassVar[frozenset[str | None] | set[str | None]] = ALL_STATES
    to_states: ClassVar[frozenset[str | None] | set[str | None]] = ALL_STATES
    transform: ClassVar[bool] = False
    kind: ClassVar[str] = ""
    inline: ClassVar[bool] = False
    """A third party's promise that the hooks never wait for anything but their reads; built-in rules all keep it."""

    __slots__ = ("_invalid", "from_type", "outcome", "plugin", "reason", "to_type")

    def __init__(self, from_type: str | None, to_type: str | None) -> None:
        self.from_type, self.to_type = from_type, to_type
        self._invalid: bool | None = None
        self.plugin: str | None = None
        """The plugin that the rule is from, unless it is built in."""
        self.outcome: str | None = None
        self.reason: str | None = None

    @classmethod
    def rule_name(cls) -> str:
        """The name by which policies and edits know the rule."""
        return cls.name or cls.__name__

    @classmethod
    def concerns(cls, initial: str | None, proposed: str | None) -> bool:
        """True when the rule takes part in transitions between these types."""
        return cls.transform or (initial in cls.from_states and proposed in cls.to_states)

    @classmethod
    def is_async(cls) -> bool:
        """True when one of the hooks is `async`, so that the policy cannot run inside one transaction."""
        return any(inspect.iscoroutinefunction(getattr(cls, hook)) for hook in HOOKS)

    def before(self, move: Move) -> Any:
        """Decide, before the state is committed to."""

    def after(self, move: Move) -> Any:
        """Declare what follows from the committed state (`move.validated`, None when nothing was committed)."""

    def cleanup(self, move: Move) -> Any:
        """Take back what `before` did, since a later rule has changed the transition."""

    def mismatch(self, move: Move) -> bool:
        """True when the transition is no longer the one that this rule was chosen for."""
        return self.from_type != move.initial_type or self.to_type != move.proposed_type

    def invalid(self, move: Move) -> bool:
        """True when the rule has no say: the transition had changed before it was asked."""
        if self.from_type not in self.from_states or self.to_type not in self.to_states:
            return True
        if self._invalid is None:
            self._invalid = self.mismatch(move)
        return self._invalid


class FlowRule(Rule):
    """A rule about flow runs."""

    kind = "flow_run"
    __slots__ = ()


class TaskRule(Rule):
    """A rule about task runs."""

    kind = "task_run"
    __slots__ = ()


class FlowTransform(FlowRule):
    """Always takes part, also after a rejection; must check itself whether something is proposed."""

    transform = True
    __slots__ = ()


class TaskTransform(TaskRule):
    """Always takes part, also after a rejection; must check itself whether something is proposed."""

    transform = True
    __slots__ = ()


def fail(move: Move, rule: Rule, plugin: str, error: BaseException) -> None:
    """Abort the transition because a rule raised.

    The rule keeps the types that it expected, so it fizzles: its own `cleanup` runs.
    """
    name = rule.rule_name()
    log.error("rule %s of plugin %s failed; the transition is aborted", name, plugin, exc_info=error)
    reason = f"Aborting orchestration due to an error in rule {name} (plugin {plugin}): {error!r}"
    move.error, move.proposed, move.status = error, None, ABORT
    move.details = {"type": "abort_details", "reason": reason}
    rule.outcome, rule.reason = ABORT, reason
