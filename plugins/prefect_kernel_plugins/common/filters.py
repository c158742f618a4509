"""Members that the filters of several slices have."""

from __future__ import annotations

import operator
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from prefect_kernel.filtering import AnyOf, Compare, HasAll, HasAny, IsEmpty, IsNull, Like, Node, NoneOf

from .fields import DateTime


def ids(column: sa.ColumnElement[Any], *, not_any: bool = True) -> Node:
    """Among these ids; or not."""
    members: dict[str, Any] = {"not_any_": NoneOf(column, UUID)} if not_any else {}
    return Node(any_=AnyOf(column, UUID), **members)


def names(column: sa.ColumnElement[Any]) -> Node:
    """One of these names; or containing a text."""
    return Node(any_=AnyOf(column), like_=Like(column))


def tags(column: sa.ColumnElement[Any], *, any_: bool = False) -> Node:
    """Having all of these tags; or (where the reference has it) any of them; or none at all."""
    members: dict[str, Any] = {"any_": HasAny(column)} if any_ else {}
    return Node(operator=True, all_=HasAll(column), **members, is_null_=IsEmpty(column))


def times(column: sa.ColumnElement[Any], *, null: sa.ColumnElement[Any] | None = None) -> Node:
    """Until and from a point in time, both included; `null` is the column that `is_null_` asks for."""
    members: dict[str, Any] = {} if null is None else {"is_null_": IsNull(null)}
    before, after = Compare(column, operator.le, DateTime), Compare(column, operator.ge, DateTime)
    return Node(before_=before, after_=after, **members)
