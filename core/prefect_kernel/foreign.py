"""Rules of third parties: run so that, whatever a hook does, the transition ends and nothing half-done remains.

A hook works on a copy of the move. What it did is taken over once it has returned and was found sound; when it raises,
hangs or leaves nonsense behind, the copy is dropped and the transition is aborted.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
import threading
from collections.abc import Generator
from typing import Any

from . import errors
from ._internal.soundness import HookFailed, check
from .ports.storage import Storage
from .sql import Call, Unit
from .transition import ABORT, Move, Rule, fail

log = logging.getLogger("prefect_kernel.transition")

MAX_STUCK = 32
"""Threads that may hang in hooks; beyond it a hook fails at once, rather than taking another thread with it."""

_stuck: set[threading.Thread] = set()
_COPIED = (
    "api_version", "client_version", "error", "kernel", "kind", "now", "status", "asked", "commit", "intended",
    "policies",
)  # fmt: skip
_LISTS = ("writes", "events", "on_commit", "trail", "foreign_writes")


class HookHangs(HookFailed):
    """A hook did not return in time."""


class Ask:
    """A hook that is to be run off the event loop, or awaited, under a time limit."""

    __slots__ = ("hook", "move")

    def __init__(self, hook: Any, move: Move) -> None:
        self.hook, self.move = hook, move

    async def run(self, storage: Storage, seconds: float) -> None:
        """Run it. Raises HookFailed when it takes longer than `seconds`, and whatever it raises."""
        task = asyncio.create_task(self._run(storage))
        try:
            done, _ = await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()  # it may not heed that: nobody waits for it
            task.add_done_callback(_forget)
            raise HookHangs(f"it did not return within {seconds:g} seconds")
        if task.cancelled():
            raise HookFailed("it was cancelled")
        task.result()

    async def _run(self, storage: Storage) -> None:
        if inspect.iscoroutinefunction(self.hook):
            try:
                result = await self.hook(self.move)
            except (SystemExit, KeyboardInterrupt) as error:  # which would end the event loop
                raise HookFailed(f"it raised {error!r}") from error
        else:
            result = await _in_thread(self.hook, self.move)
            if inspect.isgenerator(result):
                result = await _drive(result, storage)
            elif inspect.isawaitable(result):
                result = await result
        _expect_nothing(result)


async def _drive(hook: Generator[Any, Any, Any], storage: Storage) -> Any:
    """Run a generator hook, each step in a thread, each read by itself."""

    def step(value: Any, error: Exception | None) -> tuple[bool, Any]:
        try:
            return False, hook.send(value) if error is None else hook.throw(error)
        except StopIteration as stop:
            return True, stop.value

    value, error = None, None
    while True:
        done, item = await _in_thread(step, value, error)
        if done:
            return item
        value, error = None, None
        try:
            value = await storage.read(_one_read, _expect_read(item, storage.dialect))
        except errors.StorageUnavailable:
            raise
        except Exception as problem:  # noqa: BLE001 - for the rule to handle, or to fail with
            error = problem


def _one_read(call: Call) -> Unit[Any]:
    return (yield call)


def _forget(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # or asyncio reports that nobody has looked at it


async def _in_thread(function: Any, *args: Any) -> Any:
    """Call a function in a thread of its own, which the end of the process does not wait for."""
    _stuck.intersection_update([thread for thread in _stuck if thread.is_alive()])
    if len(_stuck) >= MAX_STUCK:
        raise HookFailed(f"{MAX_STUCK} hooks of rules hang already")
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def deliver(value: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(HookFailed(f"it raised {error!r}") if isinstance(error, StopIteration) else error)

    def work() -> None:
        value, problem = None, None
        try:
            value = function(*args)
        except BaseException as error:  # noqa: BLE001 - a SystemExit must not end the event loop
            problem = error if isinstance(error, Exception) else HookFailed(f"it raised {error!r}")
        try:
            loop.call_soon_threadsafe(deliver, value, problem)
        except RuntimeError:  # the server has ended in the meantime
            return

    thread = threading.Thread(target=work, name="rule hook", daemon=True)
    thread.start()
    try:
        return await future
    except asyncio.CancelledError:
        _stuck.add(thread)
        raise


def _expect_nothing(result: Any) -> None:
    if result is not None:
        raise HookFailed(f"it returned {result!r}, where hooks return nothing")


def _expect_read(item: Any, dialect: str) -> Call:
    if not isinstance(item, Call):
        raise HookFailed(f"it yielded {item!r}, where hooks yield calls of statements")
    if not item.statement.compiled(dialect).text.lstrip().upper().startswith(("SELECT", "WITH", "VALUES")):
        raise HookFailed("it yielded a statement that writes; declare writes with `move.write`")
    return item


# ---------------------------------------------------------------- copies
def fork(move: Move) -> Move:
    """A copy that can be changed without changing the move; states' data and what the kernel owns are shared."""
    other = object.__new__(Move)
    for name in _COPIED:
        setattr(other, name, getattr(move, name))
    for name in _LISTS:
        setattr(other, name, list(getattr(move, name)))
    other.initial = None if move.initial is None else move.initial.copy()
    other.proposed = None if move.proposed is None else move.proposed.copy()
    other.validated = None if move.validated is None else move.validated.copy()
    other.run, other.context = copy.deepcopy(move.run), copy.deepcopy(move.context)
    other.details = dict(move.details)
    return other


def adopt(move: Move, other: Move) -> None:
    """Make a move equal to its copy, but for the trail. Others hold references to `run` and `context`: these stay."""
    for mine, theirs in ((move.run, other.run), (move.context, other.context)):
        mine.clear()
        mine.update(theirs)
    for name in ("proposed", "validated", "status", "details", "writes", "events", "on_commit"):
        setattr(move, name, getattr(other, name))


def _careful(action: Any, rule: Rule, seconds: float) -> Any:
    """What a rule has left to do after the commit: the state is there by then, whatever becomes of this."""

    async def follow() -> None:
        try:
            async with asyncio.timeout(seconds):
                result = action()
                if inspect.isawaitable(result):
                    await result
        except (Exception, SystemExit) as error:
            name, plugin = rule.rule_name(), rule.plugin
            log.error("what rule %s of plugin %s does after the commit failed", name, plugin, exc_info=error)

    return follow


# ---------------------------------------------------------------- within `decide`
class Guard:
    """The third parties' rules in one transition."""

    def __init__(self, move: Move, detached: bool) -> None:
        self.move, self.detached = move, detached
        self._untouched = fork(move)
        self._hung: set[Rule] = set()
        self._failed: Exception | None = None

    def before(
        self, cls: type[Rule], plugin: str, initial: str | None, proposed: str | None
    ) -> Generator[Any, Any, Rule]:
        """Make a rule and ask it."""
        move = self.move
        try:
            rule = cls(initial, proposed)
        except Exception as error:  # noqa: BLE001 - whatever it is, the transition is aborted
            rule = _Unmade(cls, initial, proposed)
            rule.plugin = plugin
            self._fail(rule, error)
            move.trail.append((cls.rule_name(), ABORT, rule.reason))
            return rule
        rule.plugin = plugin
        if not cls.transform and rule.invalid(move):
            move.trail.append((cls.rule_name(), "skipped", None))
            return rule
        failure = yield from self._ask(rule, "before")
        if failure is not None:
            self._fail(rule, failure)
        if not cls.transform or rule.outcome is not None:
            move.trail.append((cls.rule_name(), rule.outcome or "passed", rule.reason))
        return rule

    def leave(self, rule: Rule, name: str) -> Generator[Any, Any, None]:
        """Ask for `after` or `cleanup`."""
        error = yield from self._ask(rule, name)
        if error is not None:
            self._fail(rule, error)
            self.move.validated = None

    def settle(self) -> None:
        """When a rule has failed, leave nothing of what any of them did: the client is told to abort, and that is all.

        (A built-in rule that fails is a mistake of the server's, which is answered as such.)
        """
        move = self.move
        if self._failed is not None and move.error is self._failed:
            verdict = move.details
            adopt(move, self._untouched)
            move.proposed, move.error, move.status, move.details = None, None, ABORT, verdict

    def _fail(self, rule: Rule, error: Exception) -> None:
        if self.move.error is None:
            self._failed = error
            fail(self.move, rule, str(rule.plugin), error)
        else:
            log.error("rule %s of plugin %s failed, too", rule.rule_name(), rule.plugin, exc_info=error)

    def _ask(self, rule: Rule, name: str) -> Generator[Any, Any, Exception | None]:
        if rule in self._hung:  # a thread may still be in it
            return None
        other = fork(self.move)
        other.asked = rule if name == "before" else None
        types = rule.from_type, rule.to_type
        try:
            hook = getattr(rule, name)
            if self.detached and not type(rule).inline:
                yield Ask(hook, other)
            else:
                yield from self._inline(hook, other)
            check(self.move, other)
            seconds = self.move.kernel.settings.kernel.plugin_timeout
            known = len(self.move.on_commit)
            other.on_commit[known:] = [_careful(action, rule, seconds) for action in other.on_commit[known:]]
        except errors.StorageUnavailable:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the transition is aborted
            rule.from_type, rule.to_type = types
            if isinstance(error, HookHangs):
                self._hung.add(rule)
            return error if isinstance(error, Exception) else HookFailed(f"it raised {error!r}")
        finally:
            other.asked = None
        if _declared(self.move, other):
            self.move.foreign_writes.append(f"{rule.rule_name()} (plugin {rule.plugin})")
        adopt(self.move, other)
        return None

    def _inline(self, hook: Any, other: Move) -> Generator[Any, Any, None]:
        if inspect.iscoroutinefunction(hook):
            raise HookFailed("it is async, and this transition is part of a transaction with other changes")
        result = _calling(hook, other)
        if inspect.isgenerator(result):
            dialect, rows = self.move.kernel.storage.dialect, None
            while True:
                done, item = _calling(_step, result, rows)
                if done:
                    result = item
                    break
                rows = yield _expect_read(item, dialect)
        elif inspect.iscoroutine(result):
            result.close()
        _expect_nothing(result)


def _calling(function: Any, *arguments: Any) -> Any:
    """Call a hook where it may not end the event loop, or the database's thread, with what it raises."""
    try:
        return function(*arguments)
    except BaseException as error:
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            raise
        raise HookFailed(f"it raised {error!r}") from error


def _step(hook: Generator[Any, Any, Any], rows: Any) -> tuple[bool, Any]:
    """The next read of a generator hook, or that it has returned, and what."""
    try:
        return False, hook.send(rows)
    except StopIteration as stop:
        return True, stop.value


def _declared(move: Move, other: Move) -> bool:
    """Whether a hook has left something to be written: then it may be at fault when the database refuses that."""
    states = [None if state is None else state.id for state in (move.proposed, other.proposed)]
    return (
        len(other.writes) > len(move.writes)
        or len(other.events) > len(move.events)
        or states[0] != states[1]
        or other.run != move.run
    )


class _Unmade(Rule):
    """Stands in for a rule that could not even be made."""

    __slots__ = ("_cls",)

    def __init__(self, cls: type[Rule], from_type: str | None, to_type: str | None) -> None:
        super().__init__(from_type, to_type)
        self._cls = cls

    def rule_name(self) -> str:  # type: ignore[override]  # of the rule that it stands in for
        return self._cls.rule_name()
