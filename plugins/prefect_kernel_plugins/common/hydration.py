"""Hydration: `__prefect_kind` objects turned into the values that they stand for.

A UI sends a value that is to be computed as an object with `__prefect_kind`: `none` (as it is), `json` (text to be
parsed), `jinja` (a template), `workspace_variable` (a variable's name). One of another kind stands for its `value`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from prefect_kernel.sql import Statement, Unit

from ..variables.tables import variable
from .templates import TemplateError, check_template, render

KIND = "__prefect_kind"

_VARIABLES = Statement(sa.select(variable.c.name, variable.c.value))


class HydrationError(ValueError):
    """A `__prefect_kind` object cannot be turned into a value; `kind` is Prefect's name for what is wrong."""

    def __init__(self, problem: str, kind: str = "HydrationError") -> None:
        super().__init__(problem)
        self.kind = kind


class Placeholder:
    """Stands in lenient hydration for a value that is not known.

    `problem` says why there is none; None where it will be filled in later, as that of a `template`. Messages of
    validation show placeholders by their `kind`, and compare them.
    """

    def __init__(self, problem: str | None = None, kind: str = "RemoveValue", template: Any = None) -> None:
        self.problem = problem
        self.kind = kind
        self._what = (kind, problem, template)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Placeholder) and self._what == other._what

    __hash__ = None  # type: ignore[assignment]  # templates may be lists

    def __repr__(self) -> str:
        return f"{self.kind}()"


_REMOVED = Placeholder()


@dataclass
class _Hydration:
    """How values are hydrated."""

    variables: Mapping[str, Any]
    context: Mapping[str, Any] = field(default_factory=dict)
    lenient: bool = False

    def value(self, value: Any) -> Any:
        """What a value stands for."""
        if isinstance(value, list):
            items = (self.value(item) for item in value)
            return [item for item in items if item is not _REMOVED]
        if not isinstance(value, dict):
            return value
        if KIND not in value:
            members = ((key, self.value(item)) for key, item in value.items())
            return {key: item for key, item in members if item is not _REMOVED}
        kind = value[KIND]
        make = getattr(self, f"_{kind}", None) if kind in ("none", "json", "jinja", "workspace_variable") else None
        return value.get("value") if make is None else make(value)

    def _failed(self, kind: str, problem: str) -> Placeholder:
        if not self.lenient:
            raise HydrationError(problem, kind)
        return Placeholder(problem, kind)

    def _inner(self, value: Any) -> Any:
        return self.value(value) if isinstance(value, dict) else value

    def _none(self, value: dict[str, Any]) -> Any:
        if "value" not in value:
            return self._failed("ValueNotFound", "Missing 'value' key in __prefect object")
        return self.value(value["value"])

    def _json(self, value: dict[str, Any]) -> Any:
        if "value" not in value:  # a UI is about to fill it in
            return _REMOVED
        text = self._inner(value["value"])
        if not isinstance(text, str):
            return text
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            return self._failed("InvalidJSON", f"Invalid JSON: {error}")

    def _jinja(self, value: dict[str, Any]) -> Any:
        if "template" not in value:
            return self._failed("TemplateNotFound", "Missing 'template' key in __prefect object")
        template = self._inner(value["template"])
        if isinstance(template, Placeholder):
            return template
        try:
            if not isinstance(template, str | list | dict):
                raise TemplateError("the template is no text")
            check_template(template)
            if self.lenient:
                return Placeholder(kind="ValidJinja", template=template)
            return render(template, self.context)
        except TemplateError as error:
            return self._failed("InvalidJinja", f"Invalid jinja: {error}")

    def _workspace_variable(self, value: dict[str, Any]) -> Any:
        if "variable_name" not in value:
            return _REMOVED
        name = self._inner(value["variable_name"])
        if isinstance(name, Placeholder):
            return name
        if not isinstance(name, str) or name not in self.variables:
            return self._failed("WorkspaceVariableNotFound", f"Variable '{name}' not found in workspace.")
        return self.variables[name]


def hydrate(
    value: Any, variables: Mapping[str, Any], context: Mapping[str, Any] | None = None, *, lenient: bool = False
) -> Any:
    """`value` with every `__prefect_kind` object in it replaced by what it stands for.

    `variables` are the values of workspace variables by name, `context` what templates may refer to. Raises
    HydrationError; a lenient hydration puts a `Placeholder` where that would happen, and for every template.
    """
    result = _Hydration(variables, context or {}, lenient).value(value)
    return {} if result is _REMOVED else result


def uses_variables(value: Any) -> bool:
    """Whether hydrating needs workspace variables."""
    if isinstance(value, list):
        return any(map(uses_variables, value))
    if isinstance(value, dict):
        return value.get(KIND) == "workspace_variable" or any(map(uses_variables, value.values()))
    return False


def needed_variables(value: Any) -> Unit[dict[str, Any]]:
    """The workspace variables for hydrating a value; read only where it uses some."""
    if not uses_variables(value):
        return {}
    return dict((yield _VARIABLES()))
