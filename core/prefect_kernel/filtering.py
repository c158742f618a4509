"""Filters: what clients may ask for, declared once, gives the model that checks it and the SQL that finds it.

A filter is a tree of `Node`s whose leaves are operators (`AnyOf`, `Like`, …). A request's filter is walked once, which
gives its *shape* (which operators are used, a small hashable tree) and the parameters. Statements are made and compiled
per shape and kept, so that a request with a known shape does no SQLAlchemy work at all.

    FLOWS = Node("FlowFilter", operator=True, name=Node(any_=AnyOf(flow.c.name), like_=Like(flow.c.name)))
    Body = FLOWS.model                      # {"operator": "and_", "name": {"any_": […], "like_": …}}
    shape = FLOWS.take(body, params)        # params are filled
    FLOWS.clause(shape)                     # None when every row matches

What is null or absent is not used. Within a node everything used must hold, or anything of it when the node has an
`operator` and that is `or_`; a node of which nothing is used matches every row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar, cast
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, create_model

from .later import Later
from .sql.match import array_test, empty_array, ilike, like_any
from .sql.statement import in_list

Clause = sa.ColumnElement[bool]
Shape = tuple[Any, ...]
Params = dict[str, Any]

Operator = Enum("Operator", {"and_": "and_", "or_": "or_"}, type=str)
_OR = Operator["or_"]


class FilterModel(BaseModel):
    """Base of the models of filter objects: unknown keys are refused."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", defer_build=True)


class Op:
    """One operator: the type of its value, and the SQL that it stands for."""

    type: Any
    default: Any = None
    bind = ""
    """The name of its parameter; given when it is put into a node."""

    def take(self, value: Any, params: Params) -> Any:
        """Put the parameters of a value that is not null; gives what the SQL depends on, None for not used."""
        raise NotImplementedError

    def clause(self, token: Any) -> Clause:
        """The condition for what `take` has given."""
        raise NotImplementedError


class AnyOf(Op):
    """The column is one of the listed values; an empty list matches nothing.

    A single value is compared by itself: so plans know that there is one, and an index can serve a sort after it.
    """

    def __init__(self, column: sa.ColumnElement[Any], of: Any = str) -> None:
        self.column, self.type = column, list[of]
        self._convert = str if of is UUID else None

    def take(self, value: list[Any], params: Params) -> Any:
        items = value if self._convert is None else [self._convert(item) for item in value]
        if len(items) == 1:
            params[f"{self.bind}_one"] = items[0]
            return True
        params[self.bind] = items
        return False

    def clause(self, token: Any) -> Clause:
        return self.on(self.column, token)

    def on(self, column: sa.ColumnElement[Any], single: bool) -> Clause:
        """The same condition on another column, such as a foreign key that holds these values."""
        if single:
            return column == sa.bindparam(f"{self.bind}_one", type_=self.column.type)
        return in_list(column, self.bind)


class NoneOf(AnyOf):
    """The column is none of the listed values (and not NULL); an empty list is not used."""

    def take(self, value: list[Any], params: Params) -> Any:
        return super().take(value, params) if value else None

    def on(self, column: sa.ColumnElement[Any], single: bool) -> Clause:
        if single:
            return column != sa.bindparam(f"{self.bind}_one", type_=self.column.type)
        return in_list(column, self.bind, negate=True)


class AnyLabel(Op):
    """AnyOf for a column with few possible values: they are compared one by one, so that plans know how many."""

    def __init__(self, column: sa.ColumnElement[Any], of: type[Enum]) -> None:
        self.column, self.type = column, list[of]  # type: ignore[valid-type]

    def take(self, value: list[Enum], params: Params) -> Any:
        labels = list(dict.fromkeys(item.value for item in value))
        for i, label in enumerate(labels):
            params[f"{self.bind}_{i}"] = label
        return len(labels)

    def binds(self, number: int) -> list[sa.BindParameter[Any]]:
        """The parameters of so many values."""
        return [sa.bindparam(f"{self.bind}_{i}", type_=self.column.type) for i in range(number)]

    def clause(self, token: int) -> Clause:
        return self.column.in_(self.binds(token)) if token else sa.false()


class NoLabel(AnyLabel):
    """The negation of AnyLabel; an empty list is not used."""

    def take(self, value: list[Enum], params: Params) -> Any:
        return super().take(value, params) or None

    def clause(self, token: int) -> Clause:
        return self.column.not_in(self.binds(token))


class Like(Op):
    """One of the columns contains the text, whatever the case of its letters; `%` and `_` are wildcards."""

    type = str

    def __init__(self, *columns: sa.ColumnElement[Any]) -> None:
        self.columns = columns

    def take(self, value: str, params: Params) -> Any:
        if not value:
            return None
        params[self.bind] = f"%{value}%"
        return True

    def clause(self, token: Any) -> Clause:
        pattern = sa.bindparam(self.bind, type_=sa.String())
        return sa.or_(*(ilike(column, pattern) for column in self.columns))


class StartsWith(Op):
    """The column begins with one of the texts, whatever the case of its letters; an empty list is not used."""

    type = list[str]

    def __init__(self, column: sa.ColumnElement[Any]) -> None:
        self.column = column

    def take(self, value: list[str], params: Params) -> Any:
        params[self.bind] = [f"{item}%" for item in value]
        return True if value else None

    def clause(self, token: Any) -> Clause:
        return like_any(self.column, self.bind)


class Compare(Op):
    """The column compared with the value, by a function of both such as `operator.le`."""

    def __init__(
        self, column: sa.ColumnElement[Any], compare: Callable[[Any, Any], Any], type_: Any = datetime
    ) -> None:
        self.column, self.compare, self.type = column, compare, type_

    def take(self, value: Any, params: Params) -> Any:
        params[self.bind] = value
        return True

    def clause(self, token: Any) -> Clause:
        return cast("Clause", self.compare(self.column, sa.bindparam(self.bind, type_=self.column.type)))


class Flag(Op):
    """A condition that the value true asks for, and its opposite for false."""

    type = bool

    def __init__(self, true: Clause, false: Clause, default: bool | None = None) -> None:
        self.true, self.false, self.default = true, false, default

    def take(self, value: bool, params: Params) -> Any:
        return (value,)

    def clause(self, token: tuple[bool]) -> Clause:
        return self.true if token[0] else self.false


def IsNull(column: sa.ColumnElement[Any], default: bool | None = None) -> Flag:  # noqa: N802 - reads as an operator
    """The column is NULL, or is not."""
    return Flag(column.is_(None), column.is_not(None), default)


class HasAll(Op):
    """A JSON array of texts contains all of the listed ones; an empty list is not used."""

    type = list[str]

    def __init__(self, column: sa.ColumnElement[Any]) -> None:
        self.column = column

    def take(self, value: list[str], params: Params) -> Any:
        params[self.bind] = list(dict.fromkeys(value))
        return True if value else None

    def clause(self, token: Any) -> Clause:
        return array_test(self.column, self.bind, "all")


class HasAny(HasAll):
    """A JSON array of texts contains one of the listed ones; an empty list matches nothing."""

    def take(self, value: list[str], params: Params) -> Any:
        params[self.bind] = value
        return True

    def clause(self, token: Any) -> Clause:
        return array_test(self.column, self.bind, "any")


def IsEmpty(column: sa.ColumnElement[Any]) -> Flag:  # noqa: N802 - reads as an operator
    """A JSON array is empty, or is not."""
    return Flag(empty_array(column), sa.not_(empty_array(column)))


class Node:
    """An object of a filter: named operators and further nodes.

    `operator` gives it the member of that name. `single` drops it unless exactly one of its members is used (the
    reference's behaviour for states).
    """

    def __init__(self, title: str = "", *, operator: bool = False, single: bool = False, **members: Op | Node) -> None:
        """`title` names the model and, for the root of a filter, begins the names of its parameters."""
        self.title, self.operator, self.single = title, operator, single
        self.members: dict[str, Op | Node] = {}
        self._items: tuple[tuple[str, Op | Node], ...] = ()
        self._model: type[FilterModel] | None = None
        for name, member in members.items():
            self.add(name, member)

    def add(self, name: str, member: Op | Node, *, before: str = "") -> None:
        """Take a further member, that of another slice; it is checked `before` that one. Not after first use."""
        assert self._model is None, f"{self.title} is in use"
        place = [*self.members].index(before) if before else len(self.members)
        self._items = (*self._items[:place], (name, member), *self._items[place:])
        self.members = dict(self._items)
        if self.title:
            self.mount(name, member)

    def mount(self, name: str, member: Op | Node) -> None:
        """Name a member and what is below it: models, and parameters (several filters are used in one statement)."""
        if isinstance(member, Node):
            member.title = f"{self.title}{name.title().replace('_', '')}"
            for inner_name, inner in member.members.items():
                member.mount(inner_name, inner)
        else:
            member.bind = f"{self.title}_{name}"

    @property
    def model(self) -> type[FilterModel]:
        """The model of the object."""
        if self._model is None:
            fields: dict[str, Any] = {}
            if self.operator:
                fields["operator"] = (Operator, Operator["and_"])
            for name, member in self.members.items():
                type_, default = (member.model, None) if isinstance(member, Node) else (member.type, member.default)
                fields[name] = (type_ | None, default)
            self._model = create_model(self.title, __base__=FilterModel, **fields)
        return self._model

    def take(self, value: BaseModel, params: Params) -> Any:
        """The shape of a filter; its parameters are put into `params`."""
        data = value.__dict__
        shape: list[Any] = [self.operator and data["operator"] is _OR]
        for name, member in self._items:
            given = data[name]
            if given is not None:
                token = member.take(given, params)
                if token is not None:
                    shape.append((name, token))
        return None if self.single and len(shape) != 2 else tuple(shape)

    def clause(self, shape: Shape) -> Clause | None:
        """The condition of a shape; None when it holds for every row."""
        clauses = [self.members[name].clause(token) for name, token in shape[1:]]
        used = [clause for clause in clauses if clause is not None]
        if not used or (shape[0] and len(used) != len(clauses)):
            return None
        return sa.or_(*used) if shape[0] else sa.and_(*used)


def conjunct(shape: Shape | None, *path: str) -> Any:
    """The token of an operator in a shape, provided that it must hold for every match; else None."""
    for name in path:
        if shape is None or (shape[0] and len(shape) > 2):
            return None
        shape = next((token for member, token in shape[1:] if member == name), None)
    return shape


Exists = Callable[[Mapping[str, Clause | None]], Clause]
Among = Callable[[Mapping[str, Clause | None], bool], Clause]
"""Makes the condition of a relation from the clauses of those of its filters that are used."""
Prefers = Callable[[Mapping[str, Shape]], bool]


class Subject:
    """A resource of which lists are read, and the filters that its list routes take.

    It knows its own filter; slices above it (which hold the foreign keys) add theirs by `relate`.
    """

    def __init__(self, key: str, node: Node, accepts: Sequence[str]) -> None:
        """`accepts` are the names of all filters that its routes take, its own among them, in the order of the wire."""
        self.key, self.accepts = key, tuple(accepts)
        self.nodes: dict[str, Node] = {key: node}
        self._relations: list[tuple[tuple[str, ...], Exists, Among | None, Prefers | None]] = []
        self._keys: dict[str, sa.ColumnElement[Any]] = {}

    def relate(
        self,
        nodes: Mapping[str, Node],
        exists: Exists,
        keys: Mapping[str, sa.ColumnElement[Any]] | None = None,
        among: Among | None = None,
        prefers: Prefers | None = None,
    ) -> None:
        """Take the filters of related resources; one EXISTS for all of `nodes`.

        `among` says the same with IN, for counts (or where `prefers` says so, when it is given): for each of all rows
        SQLite would look into EXISTS. It is told whether nothing else narrows the rows down.
        `keys` are this resource's foreign keys to them, compared too where related rows are asked for by their ids.
        """
        self.nodes.update(nodes)
        self._relations.append((tuple(nodes), exists, among, prefers))
        self._keys.update(keys or {})

    def body(
        self,
        title: str,
        base: type[BaseModel],
        names: Mapping[str, str] | None = None,
        order: str = "",
        without: Sequence[str] = (),
    ) -> Later:
        """The model of a request's body: the filters (`without` some), and the members of `base`.

        `names` renames filters.
        `order` lists the members of `base` as they are checked, with `*` where the filters are (by default the last).
        """

        def make() -> Any:
            filters: dict[str, Any] = {
                key: (self.nodes[key].model | None, Field(None, alias=(names or {}).get(key)))
                for key in self.accepts
                if key in self.nodes and key not in without
            }
            if not order:
                return create_model(title, __base__=base, **filters)
            own = {name: (member.rebuild_annotation(), member) for name, member in base.model_fields.items()}
            fields: dict[str, Any] = {}
            for name in order.split():
                fields |= filters if name == "*" else {name: own[name]}
            return create_model(title, __config__=base.model_config, **fields)

        return Later(make)

    def take(self, body: BaseModel, params: Params) -> Shape:
        """The shape of all filters of a request; their parameters are put into `params`."""
        used = [(key, node, body.__dict__.get(key)) for key, node in self.nodes.items()]
        return tuple([(key, node.take(given, params)) for key, node, given in used if given is not None])

    def conditions(self, shape: Shape, *, counting: bool = False) -> list[Clause]:
        """The conditions of a shape, all of which must hold; as is best for a page, or for counting all that match."""
        clauses = {key: self.nodes[key].clause(part) for key, part in shape}
        own = clauses.get(self.key)
        out = [] if own is None else [own]
        for key, part in shape:
            token = conjunct(part, "id", "any_") if key in self._keys else None
            if token is not None:
                ids = self.nodes[key].members["id"]
                assert isinstance(ids, Node)
                out.append(cast("AnyOf", ids.members["any_"]).on(self._keys[key], token))
        for keys, exists, among, prefers in self._relations:
            if used := {key: clauses[key] for key in keys if key in clauses}:
                wanted = prefers(dict(shape)) if prefers else counting
                out.append(among(used, own is None) if among and wanted else exists(used))
        return out
