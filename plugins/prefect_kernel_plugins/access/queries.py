"""Statements and units of API keys and users."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit, in_list, point_read

from .tables import api_key, user

KEY_SHOWN = "id created name hint scope expires created_by".split()
USER_SHOWN = "id created updated name role enabled".split()

_NAME = sa.bindparam("its_name", type_=sa.String())


def _insert(table: sa.Table) -> Statement:
    return Statement(sa.insert(table).values({c.name: sa.bindparam(c.name, type_=c.type) for c in table.columns}))


def _page(table: sa.Table, shown: list[str]) -> Statement:
    limits = {name: sa.bindparam(name, type_=sa.Integer()) for name in ("limit", "offset")}
    select = sa.select(*(table.c[name] for name in shown)).order_by(table.c.name)
    return Statement(select.limit(limits["limit"]).offset(limits["offset"]))


_KEY_BY_DIGEST = Statement(
    sa.select(api_key.c.name, api_key.c.scope, api_key.c.expires).where(
        api_key.c.digest == sa.bindparam("digest", type_=sa.String())
    )
)
_KEYS_BY_DIGEST = Statement(
    sa.select(api_key.c.digest, api_key.c.name, api_key.c.scope, api_key.c.expires).where(
        in_list(api_key.c.digest, "digests")
    )
)
_INSERT_KEY, _KEYS = _insert(api_key), _page(api_key, KEY_SHOWN)
_DELETE_KEY = Statement(sa.delete(api_key).where(api_key.c.name == _NAME))
_USER_BY_NAME = Statement(sa.select(user.c.password, user.c.role, user.c.enabled).where(user.c.name == _NAME))
_USERS_BY_NAME = Statement(
    sa.select(user.c.name, user.c.password, user.c.role, user.c.enabled).where(in_list(user.c.name, "names"))
)
_SHOWN_USER = Statement(sa.select(*(user.c[name] for name in USER_SHOWN)).where(user.c.name == _NAME))
_INSERT_USER, _USERS = _insert(user), _page(user, USER_SHOWN)
_DELETE_USER = Statement(sa.delete(user).where(user.c.name == _NAME))


@lru_cache(16)
def _update_user(names: tuple[str, ...]) -> Statement:
    values = {name: sa.bindparam(f"new_{name}", type_=user.c[name].type) for name in names}
    return Statement(sa.update(user).values(**values).where(user.c.name == _NAME))


@point_read
def key_by_digest(digest: str) -> Unit[Any]:
    """(name, scope, expires) of a key, or None."""
    rows = yield _KEY_BY_DIGEST(digest=digest)
    return rows[0] if rows else None


def keys_by_digest(digests: list[str]) -> Unit[dict[str, Any]]:
    """What `key_by_digest` gives, of those keys that there are."""
    rows = yield _KEYS_BY_DIGEST(digests=digests)
    return {row[0]: row[1:] for row in rows}


def users_by_name(names: list[str]) -> Unit[dict[str, Any]]:
    """What `user_by_name` gives, of those users that there are."""
    rows = yield _USERS_BY_NAME(names=names)
    return {row[0]: row[1:] for row in rows}


@point_read
def user_by_name(name: str) -> Unit[Any]:
    """(password's hash, role, enabled) of a user, or None."""
    rows = yield _USER_BY_NAME(its_name=name)
    return rows[0] if rows else None


def create_key(
    name: str, digest: str, hint: str, scope: str, expires: datetime | None, by: str | None, now: datetime
) -> Unit[dict[str, Any]]:
    """Keep a key. The driver raises UniqueViolation when the name is taken."""
    row = {
        "id": uuid4(), "created": now, "name": name, "digest": digest, "hint": hint, "scope": scope,
        "expires": expires, "created_by": by,
    }  # fmt: skip
    yield _INSERT_KEY.bind(row)
    return {shown: row[shown] for shown in KEY_SHOWN}


def keys(limit: int, offset: int) -> Unit[list[dict[str, Any]]]:
    """A page of keys, by name."""
    rows = yield _KEYS(limit=limit, offset=offset)
    return [dict(zip(KEY_SHOWN, row, strict=True)) for row in rows]


def delete_key(name: str) -> Unit[bool]:
    """Forget a key; False when there is none of that name."""
    return bool((yield _DELETE_KEY(its_name=name)))


def create_user(name: str, password: str, role: str, now: datetime) -> Unit[dict[str, Any]]:
    """Keep a user, whose password is a hash. The driver raises UniqueViolation when the name is taken."""
    row = {
        "id": uuid4(), "created": now, "updated": now, "name": name, "password": password, "role": role,
        "enabled": True,
    }  # fmt: skip
    yield _INSERT_USER.bind(row)
    return {shown: row[shown] for shown in USER_SHOWN}


def users(limit: int, offset: int) -> Unit[list[dict[str, Any]]]:
    """A page of users, by name."""
    rows = yield _USERS(limit=limit, offset=offset)
    return [dict(zip(USER_SHOWN, row, strict=True)) for row in rows]


def change_user(name: str, changes: dict[str, Any], now: datetime) -> Unit[dict[str, Any] | None]:
    """Change `password` (a hash), `role` or `enabled`; the user as they are now, None when there is none."""
    changes = {**changes, "updated": now}
    statement = _update_user(tuple(sorted(changes)))
    yield statement.bind({**{f"new_{key}": value for key, value in changes.items()}, "its_name": name})
    rows = yield _SHOWN_USER(its_name=name)
    return dict(zip(USER_SHOWN, rows[0], strict=True)) if rows else None


def delete_user(name: str) -> Unit[bool]:
    """Forget a user; False when there is none of that name."""
    return bool((yield _DELETE_USER(its_name=name)))
