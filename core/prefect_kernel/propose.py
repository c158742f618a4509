"""Proposing a state from outside of a unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .declare import follow_up
from .sql import Unit
from .transition import Move

if TYPE_CHECKING:
    from .app import Kernel


async def propose(
    kernel: Kernel, policies: tuple[str, ...], unit: Callable[..., Unit[Move]], *args: Any, **options: Any
) -> Move:
    """Run a transition unit (`unit(kernel, *args, **options)`), and what it left to do after the commit."""
    move = await kernel.storage.write(unit, kernel, *args, **options)
    if move.on_commit:
        await follow_up(move.on_commit)
    if move.events:
        kernel.events.committed()
    return move
