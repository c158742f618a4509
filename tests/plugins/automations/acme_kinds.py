"""A plugin from outside: a trigger that looks into payloads, and an action that writes on a board."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from prefect_kernel import hookimpl
from prefect_kernel_plugins.automations.actions import Action
from prefect_kernel_plugins.automations.calling import ActionFailed
from prefect_kernel_plugins.automations.triggers import EventTrigger, Posture

KERNEL_API = ">=1.0,<2"


class Costly(EventTrigger):
    """Fires on events whose payload says that something costs more than so much."""

    type: Literal["acme-costly"] = "acme-costly"  # type: ignore[assignment]
    posture: Literal[Posture.Reactive] = Posture.Reactive
    above: float

    def covers(self, event: Any) -> bool:
        """Only events that cost enough matter."""
        return super().covers(event) and event.payload.get("cost", 0) > self.above


class Note(Action):
    """Sets a variable to a text, in which there may be templates."""

    type: Literal["acme-note"] = "acme-note"
    board: str
    text: str

    async def act(self, one: Any) -> None:
        """Write it down."""
        if self.board == "full":
            raise ActionFailed("The board is full")
        (text,) = await one.rendered(self.text)
        await one.ask("POST", "/variables/", {"name": self.board, "value": text})
        one.relate(f"acme.board.{self.board}", "target")


@hookimpl
def kernel_triggers() -> Iterable[type]:
    """The trigger."""
    return [Costly]


@hookimpl
def kernel_actions() -> Iterable[type]:
    """The action."""
    return [Note]
