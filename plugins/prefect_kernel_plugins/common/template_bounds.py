"""The sandbox of templates: what a template may do, and how much of it.

Jinja's sandbox keeps templates out of Python's internals. It does not keep them from looping for ever, or from
filling the memory, and either would stop the whole process. So rounds, calls and filters are counted, what is written
is, and what could become huge in one step is refused before that is taken. Imports Jinja: imported when first needed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache, wraps
from typing import Any

from jinja2 import ChainableUndefined, nodes, pass_context
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import generate_lorem_ipsum
from jinja2.visitor import NodeTransformer

MAX_RANGE = 100
MAX_BITS = 65_536
"""Bits that a product or a power may have."""
MAX_REPEATED = 1_000_000
"""Characters or items that one operation may give."""
MAX_STEPS = 100_000
"""Rounds of loops, calls and filters, in all."""
MAX_WRITTEN = 20_000_000
"""Characters that may be written, also where they are not shown in the end."""
MAX_SECONDS = 2.0
MAX_WIDTH = 1_000
"""How wide a text may be padded or indented, and how long a batch is."""

KEPT, KEPT_LENGTH = 64, 20_000
"""How many templates are kept compiled, and how long those may be."""

_LOOP, _CONCAT, _CHECKED = "for loop", "concatenation", "comparison"  # no template can write such names of filters
_PADDED = {"center", "ljust", "rjust", "zfill", "expandtabs"}
_WIDE = {"center", "indent", "tojson", "batch", "slice", "round"}
_WIDE_FORMAT = re.compile(r"%[^a-zA-Z%]*(\d{5,}|\*)|:[^}]*(\d{5,}|\{)")


class Budget:
    """What a template may still do."""

    def __init__(self, length: int) -> None:
        self._length = length
        """Of the template itself: what one round may write of it, whatever the values."""
        self._steps, self._characters, self._end = MAX_STEPS, MAX_WRITTEN, time.monotonic() + MAX_SECONDS

    def step(self, *, writes: bool = False) -> None:
        """Take one step. Raises OverflowError when that is one too many."""
        self._steps -= 1
        if self._steps < 0:
            raise OverflowError(f"Too much to do. Templates can take {MAX_STEPS} steps.")
        if time.monotonic() > self._end:
            raise OverflowError(f"Too slow. Templates can take {MAX_SECONDS:g} seconds.")
        if writes:
            self.write(self._length)

    def write(self, characters: int) -> None:
        """Write that much. Raises OverflowError when that is too much."""
        self._characters -= characters
        if self._characters < 0:
            raise OverflowError(f"Too long. Templates can write {MAX_WRITTEN} characters.")


_budget: ContextVar[Budget | None] = ContextVar("budget", default=None)


def _step(*, writes: bool = False) -> None:
    budget = _budget.get()
    if budget is not None:  # else it is done while the template is compiled
        budget.step(writes=writes)


def _too_long(size: int) -> None:
    if size > MAX_REPEATED:
        raise OverflowError(f"Too long. Repeating can give up to {MAX_REPEATED} characters or items.")


def check_size(value: Any) -> int:
    """How long a value is as text, roughly; what is in it twice counts twice. Raises OverflowError if it is huge."""
    if isinstance(value, str | bytes):
        return len(value)
    size, stack = 0, [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str | bytes):
            size += len(one)
        elif isinstance(one, Mapping):
            stack += [*dict.keys(one), *dict.values(one)] if isinstance(one, dict) else ()
        elif isinstance(one, list | tuple | set | frozenset):
            stack += one
        size += 1
        _too_long((size + len(stack)) // 2)
    return size


def _check_width(*given: Any) -> None:
    if any(isinstance(one, int) and abs(one) > MAX_WIDTH for one in given):
        raise OverflowError(f"Too wide. Templates can pad and indent by {MAX_WIDTH} characters at most.")


def _check_format(text: Any) -> None:
    if isinstance(text, str | bytes) and _WIDE_FORMAT.search(text if isinstance(text, str) else text.decode("latin-1")):
        raise OverflowError(f"Too wide. Templates can pad and indent by {MAX_WIDTH} characters at most.")


def _check_replaced(text: Any, old: Any, new: Any) -> None:
    text, old, new = (one if isinstance(one, str | bytes) else str(one) for one in (text, old, new))
    if type(text) is type(old):
        _too_long(len(text) + text.count(old) * len(new))


def _check_joined(separator: Any, items: Any) -> None:
    if isinstance(items, list | tuple | str | bytes):
        _too_long(len(items) * len(separator) + check_size(items))


def check_operation(operator: str, left: Any, right: Any) -> None:
    """Raise OverflowError before the result of an operation becomes huge."""
    if isinstance(left, int) and isinstance(right, int):
        if operator == "**":
            bits = left.bit_length() * right if abs(left) > 1 else 0
        else:
            bits = left.bit_length() + right.bit_length()
        if bits > MAX_BITS:
            raise OverflowError(f"Number too big. Templates can have numbers of up to {MAX_BITS} bits.")
    elif operator == "*":
        times, repeated = (left, right) if isinstance(left, int) else (right, left)
        if isinstance(times, int) and isinstance(repeated, str | bytes | list | tuple):
            _too_long(len(repeated) * times)
    elif operator == "+" and isinstance(left, str | bytes | list | tuple) and isinstance(right, type(left)):
        _too_long(len(left) + len(right))
    elif operator == "%" and isinstance(left, str | bytes):
        _check_format(left)
        check_size(right)


def _check_method(owner: Any, name: str, given: tuple[Any, ...]) -> None:
    """Raise OverflowError before what a method of a text or a number gives becomes huge."""
    if isinstance(owner, int) or name in _PADDED:
        _check_width(*given)
    elif name in ("format", "format_map"):
        _check_format(owner)
        check_size(given)
    elif name == "replace" and len(given) > 1:
        _check_replaced(owner, *given[:2])
    elif name == "join" and given:
        _check_joined(owner, given[0])
    elif name == "translate" and given and isinstance(given[0], dict):
        _too_long(len(owner) * max((len(str(one)) for one in given[0].values()), default=1))


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that takes its share, and refuses what would become huge."""
    at = 0 if getattr(function, "jinja_pass_arg", None) is None else 1

    @wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        _step()
        value, given = (args[at] if len(args) > at else None), (*args[at + 1 :], *named.values())
        if name in _WIDE:
            _check_width(*given)
        size = check_size(value)
        for one in (value, *given) if name == "format" else given:
            _check_format(one)
        if name == "indent" and isinstance(value, str):
            _too_long(size + value.count("\n") * MAX_WIDTH)
        elif name == "replace" and len(given) > 1:
            _check_replaced(value, *given[:2])
        elif name == "join":
            _check_joined(str(given[0]) if given else "", value)
        elif name == "sum" and any(isinstance(one, str | list | tuple) for one in given[-1:]) and "start" in named:
            raise OverflowError("Templates can add up numbers only.")
        return function(*args, **named)

    return call


@pass_context
def _rounds(_context: Any, values: Any) -> Iterator[Any]:
    """What a loop goes through, counted."""
    return _counted(iter(values))


def _counted(values: Iterator[Any]) -> Iterator[Any]:
    for value in values:
        _step(writes=True)
        yield value


@pass_context
def _concatenated(_context: Any, parts: list[Any]) -> str:
    """What `~` gives."""
    _too_long(sum(map(check_size, parts)))
    return "".join(map(str, parts))


@pass_context
def _comparable(_context: Any, value: Any) -> Any:
    """A value that can be compared before the world ends."""
    check_size(value)
    return value


class _Bounds(NodeTransformer):
    """Puts what counts and checks into a template."""

    def _filtered(self, node: nodes.Node, name: str) -> nodes.Filter:
        return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - Jinja's name
        self.generic_visit(node)
        node.iter = self._filtered(node.iter, _LOOP)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - Jinja's name
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return self._filtered(parts, _CONCAT)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802 - Jinja's name
        self.generic_visit(node)
        for holder, name in ((node, "expr"), *((one, "expr") for one in node.ops)):
            inner = getattr(holder, name)
            if not isinstance(inner, nodes.Const):
                setattr(holder, name, self._filtered(inner, _CHECKED))
        return node


def _written(value: Any) -> str:
    """What is written for a value."""
    size = check_size(value)
    budget = _budget.get()
    if budget is not None:
        budget.write(size)
    return str(value)


def _range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > MAX_RANGE:
        raise OverflowError(
            f"Range too big. The sandbox blocks ranges larger than MAX_TEMPLATE_RANGE={MAX_RANGE}."  # Prefect's words
        )
    return found


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, in bounds."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self) -> None:
        super().__init__(
            undefined=ChainableUndefined,
            finalize=_written,
            extensions=["jinja2_humanize_extension.HumanizeExtension"],
        )
        self.globals["range"] = _range
        self.filters = {name: _bounded(name, function) for name, function in self.filters.items()}
        self._kept = lru_cache(KEPT)(self.from_string)
        self.filters |= {_LOOP: _rounds, _CONCAT: _concatenated, _CHECKED: _comparable}

    def add_filters(self, **filters: Callable[..., Any]) -> None:
        """Teach it further filters."""
        self._kept.cache_clear()
        self.filters.update({name: _bounded(name, function) for name, function in filters.items()})

    def _generate(self, source: nodes.Template, *args: Any, **named: Any) -> Any:
        bounded = _Bounds().visit(source)
        bounded.set_environment(self)
        return super()._generate(bounded, *args, **named)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        check_operation(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Any, obj: Any, /, *args: Any, **named: Any) -> Any:
        """Call something for a template."""
        _step(writes=isinstance(obj, Macro))
        if isinstance(obj, LoopContext):
            args = tuple(_counted(iter(one)) for one in args)
        elif obj is generate_lorem_ipsum:
            _check_width(*args, *named.values())
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str | bytes | int):
            _check_method(owner, getattr(obj, "__name__", ""), (*args, *named.values()))
        return super().call(context, obj, *args, **named)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """The method `format` of a text, or None for what is no such method."""
        found = super().wrap_str_format(value)
        if found is None:
            return None

        def checked(*args: Any, **named: Any) -> str:
            _check_method(value.__self__, "format", (*args, named))
            return found(*args, **named)

        return checked

    def fill_in(self, template: str, values: Mapping[str, Any]) -> str:
        """A template, filled in. Raises whatever is wrong."""
        token = _budget.set(Budget(len(template)))
        try:
            compiled = self._kept(template) if len(template) <= KEPT_LENGTH else self.from_string(template)
            return compiled.render(values)
        finally:
            _budget.reset(token)
