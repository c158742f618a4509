"""Proposing a state from outside of a unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .sql import Unit
from .transition import Move

if TYPE_CHECKING:
    from .app import Kernel


async def propose(
    kernel: Kernel, policies: tuple[str, ...], unit: Callable[..., Unit[Move]], *args: Any, **options: Any
) -> Move:
    """Run a transition unit (`unit(kernel, *args, **options)`), and what it left to do after the commit."""
    move = await kernel.storage.write(unit, kernel, *args, **options)
    for action in move.on_commit:
        result = action()
        if result is not None:
            await result
    if move.events:
        kernel.events.committed()
    return move
