"""From a filter of events to SQL.

A filter is first taken apart into a *shape*, nested tuples that name columns, tests and parameters, and the values of
those parameters. Filters of one shape share one compiled statement.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from prefect_kernel.sql import in_list
from prefect_kernel.sql.types import POSTGRESQL, SQLITE, Timestamp

from ..common import text_search
from ..common.patterns import like
from .filters import (
    EventAnyResourceFilter,
    EventFilter,
    EventRelatedFilter,
    EventResourceFilter,
    ResourceSpecification,
    as_list,
)
from .tables import event_resources, events

Shape = tuple[Hashable, ...]

_WILDCARDS = str.maketrans({"*": "%", "?": "_", "\\": "\\\\", "%": "\\%", "_": "\\_"})
_ID, _ROLE = "prefect.resource.id", "prefect.resource.role"


class Conditions:
    """The shape and the parameters of one filter."""

    def __init__(self, filter: EventFilter) -> None:
        """The filter's time span must be complete."""
        self.params: dict[str, Any] = {"since": filter.occurred.since, "until": filter.occurred.until}
        shape: list[Hashable] = []
        if filter.event is not None:
            shape += self._names("event", filter.event.name)
            shape += self._like("event", filter.event.prefix, "prefix")
            shape += self._like("event", filter.event.exclude_prefix, "no_prefix")
            if filter.event.exclude_name:
                shape.append(("not_in", "event", self._put(filter.event.exclude_name)))
        if filter.resource is not None:
            shape += self._resource(filter.resource)
        shape += [found for one in as_list(filter.related) for found in self._related(one)]
        shape += [found for one in as_list(filter.any_resource) for found in self._any(one)]
        if filter.id.id:
            shape.append(("in", "id", self._put([str(id) for id in filter.id.id])))
        if filter.text is not None:
            for mode, patterns in text_search.patterns(filter.text.query).items():
                shape.append(("text", mode, self._put(patterns)))
        self.shape: Shape = tuple(shape)

    def _put(self, value: Any) -> str:
        """Make a parameter of a value; gives its name."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return name

    def _names(self, column: str, names: list[str] | None) -> list[Shape]:
        if not names:
            return []
        if len(names) == 1:  # by far the most frequent, and an equality keeps the order of the index
            return [("eq", column, self._put(names[0]))]
        return [("in", column, self._put(names))]

    def _like(self, column: str, prefixes: list[str] | None, kind: str = "prefix") -> list[Shape]:
        return [(kind, column, self._put([f"{prefix}%" for prefix in prefixes]))] if prefixes else []

    def _resource(self, filter: EventResourceFilter) -> list[Shape]:
        shape = [*self._names("resource_id", filter.id), *self._like("resource_id", filter.id_prefix)]
        if filter.labels is not None and filter.labels.root:
            shape.append(("resources", ("primary",), *self._labels(filter.labels, role=False)))
        return shape

    def _related(self, filter: EventRelatedFilter) -> list[Shape]:
        shape = [*self._names("r.resource_id", filter.id), *self._names("r.resource_role", filter.role)]
        if filter.resources_in_roles:
            pairs = [
                (("eq", "r.resource_id", self._put(id)), ("eq", "r.resource_role", self._put(role)))
                for id, role in filter.resources_in_roles
            ]
            shape.append(("any_pair", *pairs))
        labels = filter.labels is not None and filter.labels.root
        if not shape and not labels:
            return []
        if filter.labels is not None and labels:
            shape += self._labels(filter.labels, role=True)
        if not filter.role:
            shape.append(("related",))
        return [("resources", *shape)]

    def _any(self, filter: EventAnyResourceFilter) -> list[Shape]:
        shape = [*self._names("r.resource_id", filter.id), *self._like("r.resource_id", filter.id_prefix)]
        labels = filter.labels is not None and filter.labels.root
        if not shape and not labels:
            return []
        if filter.labels is not None and labels:
            shape += self._labels(filter.labels, role=True)
        return [("resources", *shape)]

    def _labels(self, labels: ResourceSpecification, *, role: bool) -> list[Shape]:
        """Id and role are columns; the primary resource has no role to look for, so there it is a label like others."""
        shape: list[Shape] = []
        if ids := labels.values(_ID):
            shape.append(self._match(("column", "r.resource_id"), ids))
        if role and (roles := labels.values(_ROLE)):
            shape.append(("in", "r.resource_role", self._put(roles)))
        for label, values in labels.others(_ID, *([_ROLE] if role else [])):
            shape.append(self._match(("label", self._put(label)), values) if values else ("nothing",))
        return shape

    def _match(self, subject: Shape, patterns: list[str]) -> Shape:
        """One of the patterns matches; those with `!` match what they do not describe."""
        wanted = [p.translate(_WILDCARDS) for p in patterns if not p.startswith("!")]
        unwanted = [p[1:].translate(_WILDCARDS) for p in patterns if p.startswith("!")]
        return (
            "match",
            subject,
            self._put(wanted) if wanted else None,
            self._put(unwanted) if unwanted else None,
        )


class _label(sa.sql.expression.ColumnElement[str]):  # noqa: N801 - reads as a function
    """The value of the label named by a parameter."""

    inherit_cache = False
    type = sa.String()

    def __init__(self, name: str) -> None:
        self.column, self.wanted = event_resources.c.resource, sa.bindparam(name, type_=sa.Text())


@compiles(_label, SQLITE)
def _label_sqlite(element: _label, compiler: Any, **kw: Any) -> str:
    # Not json_extract: a label may have any characters, and a JSON path cannot quote all of them.
    column, label = compiler.process(element.column, **kw), compiler.process(element.wanted, **kw)
    return f"(SELECT label.value FROM json_each({column}) AS label WHERE label.key = {label})"


@compiles(_label, POSTGRESQL)
def _label_postgresql(element: _label, compiler: Any, **kw: Any) -> str:
    column, label = compiler.process(element.column, **kw), compiler.process(element.wanted, **kw)
    return f"({column} ->> {label} ::text)"


_SEARCHED = sa.func.lower(
    events.c.event
    + sa.literal_column("' '")
    + sa.cast(events.c.resource, sa.Text)
    + sa.literal_column("' '")
    + sa.cast(events.c.related, sa.Text)
    + sa.literal_column("' '")
    + sa.cast(events.c.payload, sa.Text)
)
"""What a text filter looks at."""


def where(shape: Shape) -> list[Any]:
    """The conditions on table `events` for a shape, with the time span."""
    return [*_within(events), *(_condition(part) for part in shape)]


def _within(table: sa.Table) -> list[Any]:
    return [
        table.c.occurred >= sa.bindparam("since", type_=Timestamp()),
        table.c.occurred <= sa.bindparam("until", type_=Timestamp()),
    ]


def _column(name: str) -> Any:
    return event_resources.c[name[2:]] if name.startswith("r.") else events.c[name]


def about_names(part: Any) -> bool:
    """Whether a condition is about the name of an event alone."""
    return part[0] in ("eq", "in", "not_in", "prefix", "no_prefix") and part[1] == "event"


def event_names(parts: Sequence[Any] = ()) -> sa.CTE:
    """The names of all events, those for which `parts` hold: found one after the other in an index.

    There are few, and SQLite, which compares prefixes whatever their case, would look for them in each event.
    """
    names = sa.select(sa.func.min(events.c.event).label("event")).cte("names", recursive=True)
    later = events.alias("later")
    following = sa.select(sa.func.min(later.c.event)).where(later.c.event > names.c.event).scalar_subquery()
    names = names.union_all(sa.select(following).where(names.c.event.is_not(None)))
    wanted = (_compared(part, names.c.event) for part in parts)
    return sa.select(names.c.event).where(names.c.event.is_not(None), *wanted).cte("wanted_names")


def where_counting(shape: Shape) -> list[Any]:
    """As `where`, as it is best for SQLite when all events that match are counted."""
    parts: list[Any] = [part for part in shape if about_names(part)]
    if all(part[0] in ("eq", "in") for part in parts):
        return where(shape)
    names = events.c.event.in_(sa.select(event_names(parts).c.event))
    return [*_within(events), names, *(_condition(part) for part in shape if part not in parts)]


def _compared(part: Any, column: Any) -> Any:
    match part:
        case ("eq", _, name):
            return column == sa.bindparam(name, type_=column.type)
        case ("in", _, name):
            return in_list(column, name)
        case ("not_in", _, name):
            return in_list(column, name, negate=True)
        case ("prefix", _, name):
            return like(column, name, escape=False)
        case ("no_prefix", _, name):
            return like(column, name, "none", escape=False)
    raise AssertionError(part)


def _condition(part: Any) -> Any:
    match part:
        case ("text", mode, name):
            return like(_SEARCHED, name, mode)
        case ("resources", *parts):
            found = sa.select(event_resources.c.event_id).where(*_within(event_resources))
            return events.c.id.in_(found.where(*(_condition(one) for one in parts)))
        case ("primary",):
            return event_resources.c.resource_role == sa.literal_column("''")
        case ("related",):
            return event_resources.c.resource_role != sa.literal_column("''")
        case ("any_pair", *pairs):
            return sa.or_(*(sa.and_(_condition(id), _condition(role)) for id, role in pairs))
        case ("match", subject, wanted, unwanted):
            value = _column(subject[1]) if subject[0] == "column" else _label(subject[1])
            tests = [like(value, wanted)] if wanted else []
            tests += [like(value, unwanted, "any_not")] if unwanted else []
            return sa.or_(*tests)
        case ("nothing",):
            return sa.false()
    return _compared(part, _column(part[1]))
