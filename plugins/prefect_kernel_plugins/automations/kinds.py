"""Kinds of triggers and actions: the built-in ones, and those of other plugins (`kernel_triggers`, `kernel_actions`).

What clients send is compared with the built-in kinds, as Prefect does, unless its `type` is that of a plugin's kind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SerializationInfo, SerializerFunctionWrapHandler, ValidatorFunctionWrapHandler

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

TRIGGERS, ACTIONS = "kernel_triggers", "kernel_actions"

_open: list[dict[tuple[str, str], type[BaseModel]]] = []
"""Of each kernel that is open: (hook, type) -> the kind that a plugin has brought."""


def type_of(kind: Any) -> str:
    """What a kind's `type` is."""
    name: str = kind.model_fields["type"].default
    return name


def declared(kernel: Kernel, hook: str) -> Iterator[tuple[str, str, type[BaseModel]]]:
    """The plugin, type and class of every kind of trigger or action that a kernel knows."""
    for plugin, kind in kernel.plugins.collect(hook):
        yield plugin, type_of(kind), kind


@asynccontextmanager
async def known(kernel: Kernel) -> AsyncIterator[None]:
    """Lifespan: the kinds that plugins have brought may be used."""
    own = {
        (hook, name): kind
        for hook in (TRIGGERS, ACTIONS)
        for plugin, name, kind in declared(kernel, hook)
        if plugin not in kernel.plugins.trusted
    }
    _open.append(own)
    try:
        yield
    finally:
        _open[:] = [one for one in _open if one is not own]


def of_plugins(hook: str, name: object) -> type[BaseModel] | None:
    """The kind of that type which a plugin has brought."""
    if isinstance(name, str):
        for kinds in _open:
            if (hook, name) in kinds:
                return kinds[hook, name]
    return None


class OneOf:
    """Validates and serialises a union of the built-in kinds of a hook, and those of plugins."""

    def __init__(self, hook: str) -> None:
        self._hook = hook

    def validate(self, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        """The built-in kind that fits; or the plugin's whose type it has."""
        if _open and any(_open):
            kind = of_plugins(self._hook, value.get("type") if isinstance(value, dict) else None)
            if kind is not None:
                return kind.model_validate(value)
        return handler(value)

    def serialize(self, value: Any, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        """With the members of its own kind."""
        if isinstance(value, BaseModel) and of_plugins(self._hook, getattr(value, "type", None)) is type(value):
            return value.model_dump(mode=info.mode)
        return handler(value)
