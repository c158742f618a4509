"""Statements that read one page of a sorted list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from .statement import ByDialect, Call, Statement
from .types import SQLITE

Sort = tuple[sa.ColumnElement[Any], bool]
"""A sort key, and whether the greatest comes first."""

_SIZES = (10, 50, 200)
"""Pages are planned for as many rows as the smallest of these that holds them."""

_DEPTHS = (200, 1000, 5000)
"""Later pages are planned as if they ended at the smallest of these rows that holds them; still later ones anew."""


class PageStatement(Statement):
    """A page whose plan PostgreSQL makes once, and not for each request.

    A plan that is kept knows no parameters, and guesses that a page is a tenth of the table and begins after another;
    since that looks dear, PostgreSQL plans anew each time, which takes longer than reading ten rows. So the statement
    itself says how much a page holds at most, and that a first page is one or how deep in the list a later one is.
    """

    __slots__ = ("_make", "_sized")

    def __init__(self, make: Callable[[int | None, int | None], ByDialect]) -> None:
        """`make` gives the expressions for pages of at most so many rows that end before so many (None: unbounded).

        An end of 0 says that nothing comes before the page.
        """
        super().__init__(make(None, None), raw=True)
        self._make = make
        self._sized: dict[tuple[int, int | None], Statement] = {}

    def bind(self, params: Mapping[str, Any]) -> Call:
        limit, offset = params["limit"], params["offset"]
        size = next((size for size in _SIZES if limit <= size), None)
        if size is None:
            return Call(self, params)
        kind = size, next((depth for depth in _DEPTHS if offset + limit <= depth), None) if offset else 0
        statement = self._sized.get(kind)
        if statement is None:
            statement = self._sized[kind] = Statement(self._make(*kind), raw=True)
        return Call(statement, params)

    def __call__(self, /, **params: Any) -> Call:
        return self.bind(params)


def page_statement(
    table: sa.Table,
    columns: Sequence[sa.ColumnElement[Any]],
    joined: Callable[[sa.FromClause], sa.FromClause],
    conditions: Sequence[sa.ColumnElement[bool]],
    sort: Sort,
    alternatives: Sequence[sa.ColumnElement[bool]] = (),
) -> Statement:
    """A statement with the parameters `limit` and `offset`; raw cells.

    The page is found first, by keys alone, and then joined with what belongs to its rows: so rows that are skipped or
    sorted away cost little. `alternatives` are conditions of which exactly one holds for every match; each of them is
    then read in sorted order and the results are merged, where an index has (alternative, sort key).
    """
    rowid: sa.ColumnElement[Any] = sa.literal_column(f"{table.name}.rowid")

    def make(size: int | None, depth: int | None) -> ByDialect:
        def of(dialect: str) -> sa.Executable:
            # SQLite reads outer joins from left to right, so the order of the page is kept; PostgreSQL must be told.
            if dialect == SQLITE:
                return _page(table, columns, joined, conditions, sort, alternatives, rowid, None, None)
            page = _page(table, columns, joined, conditions, sort, alternatives, table.c.id, size, depth)
            return page.order_by(_ordered(sort))

        return ByDialect(of)

    return PageStatement(make)


def _ordered(sort: Sort) -> sa.UnaryExpression[Any]:
    return sort[0].desc() if sort[1] else sort[0].asc()


def _page(
    table: sa.Table,
    columns: Sequence[sa.ColumnElement[Any]],
    joined: Callable[[sa.FromClause], sa.FromClause],
    conditions: Sequence[sa.ColumnElement[bool]],
    sort: Sort,
    alternatives: Sequence[sa.ColumnElement[bool]],
    key: sa.ColumnElement[Any],
    size: int | None,
    depth: int | None,
) -> sa.Select[Any]:
    limit, offset = sa.bindparam("limit", type_=sa.Integer()), sa.bindparam("offset", type_=sa.Integer())
    keys: sa.Select[Any] | sa.CompoundSelect[Any]
    sort_key = sort[0].label("sort_key")
    if len(alternatives) > 1:
        select = sa.select(key.label("at"), sort_key).select_from(table)
        keys = sa.union_all(*(select.where(one, *conditions) for one in alternatives))
        keys = keys.order_by(_ordered((keys.selected_columns["sort_key"], sort[1])))
    else:
        found = [key.label("at"), sort_key] if depth else [key.label("at")]
        keys = sa.select(*found).select_from(table).where(*alternatives, *conditions).order_by(_ordered(sort))
    if depth:
        nearest = keys.limit(sa.literal_column(str(depth))).subquery("nearest")
        keys = sa.select(nearest.c.at).order_by(_ordered((nearest.c.sort_key, sort[1])))
    keys = keys.limit(limit)
    page = (keys if depth == 0 else keys.offset(offset)).subquery("page")
    if size is not None:
        page = sa.select(page.c.at).limit(sa.literal_column(str(size))).subquery("sized_page")
    # An outer join, though every row is found: it keeps SQLite from joining in another order.
    return sa.select(*columns).select_from(joined(page.outerjoin(table, key == page.c.at)))


def count_statement(table: sa.Table, conditions: Sequence[sa.ColumnElement[bool]]) -> Statement:
    """The number of matching rows."""
    return Statement(sa.select(sa.func.count()).select_from(table).where(*conditions), raw=True)
