"""Templates that users write: Jinja in a sandbox, in bounds.

A template cannot change what it is given, or reach into Python's internals. Ranges are short, loops few and shallow,
products and powers small, since one operation on huge numbers stops the whole process, not only its thread. What is
undefined is empty, however deep it is asked for. Jinja is imported when first needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

MAX_RANGE = 100
MAX_LOOPS = 10
MAX_LOOP_DEPTH = 2
MAX_BITS = 65_536
"""Bits that a product or a power may have."""
MAX_REPEATED = 1_000_000
"""Characters or items that repeating a text or a list may give."""


class TemplateError(ValueError):
    """A template that cannot be used, or that failed."""

    def __init__(self, message: str, line: int = 0, short: str | None = None) -> None:
        """`line` is where in the template it went wrong, 0 when that is not known; `short` a message without it."""
        super().__init__(message)
        self.line, self.short = line, message if short is None else short


def _range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > MAX_RANGE:
        raise OverflowError(
            f"Range too big. The sandbox blocks ranges larger than MAX_TEMPLATE_RANGE={MAX_RANGE}."  # Prefect's words
        )
    return found


def _check_size(operator: str, left: Any, right: Any) -> None:
    """Raise OverflowError before a product or a power becomes huge."""
    if isinstance(left, int) and isinstance(right, int):
        if operator == "**":
            bits = left.bit_length() * right if abs(left) > 1 else 0
        else:
            bits = left.bit_length() + right.bit_length()
        if bits > MAX_BITS:
            raise OverflowError(f"Number too big. Templates can have numbers of up to {MAX_BITS} bits.")
    elif operator == "*":
        times, repeated = (left, right) if isinstance(left, int) else (right, left)
        sized = isinstance(times, int) and isinstance(repeated, str | bytes | list | tuple)
        if sized and len(repeated) * times > MAX_REPEATED:
            raise OverflowError(f"Too long. Repeating can give up to {MAX_REPEATED} characters or items.")


@lru_cache(2)
def environment(asynchronous: bool = False) -> Any:
    """Jinja's environment; an asynchronous one waits for what it is given, where that must be waited for."""
    from jinja2 import ChainableUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"*", "**"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            _check_size(operator, left, right)
            return super().call_binop(context, operator, left, right)

    made = Environment(
        undefined=ChainableUndefined,
        enable_async=asynchronous,
        extensions=["jinja2_humanize_extension.HumanizeExtension"],
    )
    made.globals["range"] = _range
    return made


def check_template(text: Any) -> None:
    """Check the syntax of a template and that it keeps within bounds. Raises TemplateError."""
    from jinja2 import TemplateSyntaxError, nodes

    try:
        root = environment().parse(text)
    except TemplateSyntaxError as error:
        raise TemplateError(str(error), error.lineno, error.message) from None
    loops = list(root.find_all(nodes.For))
    if len(loops) > MAX_LOOPS:
        raise TemplateError(
            f"Contains {len(loops)} for loops. Templates can contain no more than {MAX_LOOPS} for loops."
        )
    deepest = max((_depth(loop) for loop in loops), default=0)
    if deepest > MAX_LOOP_DEPTH:
        raise TemplateError(
            f"Contains nested for loops at a depth of {deepest}. "
            f"Templates can nest for loops no more than {MAX_LOOP_DEPTH} loops deep."
        )


def _depth(node: Any) -> int:
    """How deep loops are nested in a node, itself included."""
    from jinja2 import nodes

    inner = max((_depth(child) for child in node.iter_child_nodes()), default=0)
    return inner + isinstance(node, nodes.For)


def is_template(text: Any) -> bool:
    """Whether anything in a text is to be replaced."""
    return "{{" in text or "{%" in text


def render(text: Any, context: Mapping[str, Any]) -> Any:
    """Fill a template in. Raises TemplateError."""
    if not is_template(text):
        return text
    try:
        return environment().from_string(text).render(context)
    except Exception as error:
        raise TemplateError(f"Failed to render template due to the following error: {error!r}") from error
