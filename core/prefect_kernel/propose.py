"""Proposing a state from outside of a unit.

Usually snapshot, decision and writes are one unit. Rules of third parties may wait for whatever they like, which must
not happen while a transaction is open: where a policy has some, the decision is made first, and then written by a unit
that checks that the run is still what it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import errors
from .declare import follow_up
from .sql import Call, Unit, point_read
from .transition import ABORT, Move

if TYPE_CHECKING:
    from .app import Kernel

log = logging.getLogger("prefect_kernel.transition")

MAX_ATTEMPTS = 20
"""How often a decision is made again because somebody else has changed the run in the meantime."""


class _Outdated(errors.KernelError):
    """What was decided on has changed since."""


async def propose(
    kernel: Kernel, policies: tuple[str, ...], unit: Callable[..., Unit[Move]], *args: Any, **options: Any
) -> Move:
    """Run a transition unit (`unit(kernel, *args, **options)`), and what it left to do after the commit.

    The unit takes an option `detached`; with it, it passes it on to `decide` and, in place of writing, leaves how to
    do that as `move.commit`.
    """
    if any(kernel.policies[name].detached for name in policies):
        move = await _detached(kernel, unit, args, options)
    else:
        move = await _whole(kernel, policies, unit, args, options)
    if move.on_commit:
        await follow_up(move.on_commit)
    if move.events:
        kernel.events.committed()
    if kernel.on_move is not None:
        kernel.on_move(move)
    return move


async def _whole(
    kernel: Kernel, policies: tuple[str, ...], unit: Callable[..., Unit[Move]], args: Any, options: Any
) -> Move:
    """Decide and write in one transaction."""
    try:
        try:
            return await kernel.storage.write(unit, kernel, *args, **options)
        except errors.IntegrityViolation:  # the run may have been deleted while its new state was written
            return await kernel.storage.write(unit, kernel, *args, **options)
    except errors.StorageUnavailable:
        raise
    except errors.StorageError:
        if not any(kernel.policies[name].foreign for name in policies):
            raise
        return await _detached(kernel, unit, args, options)  # which finds out whether it is a rule's fault


async def dry_run(kernel: Kernel, unit: Callable[..., Unit[Move]], *args: Any, **options: Any) -> Move:
    """Decide as `propose` would on what is there now, and leave it at that: nothing is written."""
    move = await _decided(kernel, unit(kernel, *args, **options, detached=True))
    move.commit = None
    return move


async def _detached(kernel: Kernel, unit: Callable[..., Unit[Move]], args: Any, options: Any) -> Move:
    for attempt in range(1, MAX_ATTEMPTS + 1):
        move: Move = await _decided(kernel, unit(kernel, *args, **options, detached=True))
        try:
            await kernel.storage.write(_commit, move, [])
        except (_Outdated, errors.Raced) as error:
            if attempt < MAX_ATTEMPTS or not move.foreign_writes:
                continue
            _refuse(move, error)  # by now it is more likely that a rule expects what never is
        except errors.StorageUnavailable:
            raise
        except errors.StorageError as error:
            if isinstance(error, errors.IntegrityViolation) and attempt == 1:
                continue  # the run may have been deleted in the meantime
            if not move.foreign_writes:
                raise
            _refuse(move, error)
        return move
    raise errors.Raced


async def _decided(kernel: Kernel, unit: Unit[Move]) -> Move:
    """Run a unit without a transaction: each read by itself, and hooks under their time limit."""
    from .foreign import Ask

    seconds = kernel.settings.kernel.plugin_timeout
    value: Any = None
    error: Exception | None = None
    try:
        while True:
            try:
                item: Any = unit.send(value) if error is None else unit.throw(error)
            except StopIteration as stop:
                move: Move = stop.value
                return move
            value, error = None, None
            if isinstance(item, Ask):
                try:
                    await item.run(kernel.storage, seconds)
                except Exception as problem:  # noqa: BLE001 - thrown into the unit
                    error = problem
            else:
                value = await kernel.storage.read(_one, item)
    finally:
        unit.close()


@point_read
def _one(call: Call) -> Unit[Any]:
    return (yield call)


def _commit(move: Move, started: list[None]) -> Unit[None]:
    """Write a decision. A driver that finds it outdated would run the unit again and again, to no avail: stop that.

    The second start is allowed, for it may be another unit of the same batch that was outdated.
    """
    if move.commit is None:
        raise RuntimeError("A transition unit that decides detached must set `move.commit`.")
    if len(started) > 1:
        raise _Outdated
    started.append(None)
    yield from move.commit()


def _refuse(move: Move, error: errors.KernelError) -> None:
    """Abort a transition of which nothing was written, since the database refused what a rule had declared."""
    rules = ", ".join(move.foreign_writes)
    log.error("a write declared by rule %s failed; the transition is aborted", rules, exc_info=error)
    reason = f"Aborting orchestration due to an error in a write declared by {rules}: {error!r}"
    move.error, move.proposed, move.validated, move.status = error, None, None, ABORT
    move.details = {"type": "abort_details", "reason": reason}
    move.writes.clear()
    move.events.clear()
    move.on_commit.clear()
