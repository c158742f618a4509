"""Templates that users write: Jinja in a sandbox, in bounds (`template_bounds`). Loops are few and shallow.

What is undefined is empty, however deep it is asked for. Jinja is imported when first needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .template_bounds import BoundedEnvironment

MAX_LOOPS = 10
MAX_LOOP_DEPTH = 2


class TemplateError(ValueError):
    """A template that cannot be used, or that failed."""

    def __init__(self, message: str, line: int = 0, short: str | None = None) -> None:
        """`line` is where in the template it went wrong, 0 when that is not known; `short` a message without it."""
        super().__init__(message)
        self.line, self.short = line, message if short is None else short


@lru_cache(1)
def environment() -> BoundedEnvironment:
    """Jinja's environment."""
    from .template_bounds import BoundedEnvironment

    return BoundedEnvironment()


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
        return environment().fill_in(str(text), context)
    except Exception as error:
        raise TemplateError(f"Failed to render template due to the following error: {error!r}") from error
