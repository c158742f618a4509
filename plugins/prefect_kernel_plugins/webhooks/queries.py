"""Units of webhooks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit, point_read
from prefect_kernel.sql.types import UUID

from ..blocks.encryption import UndecryptableError, cipher, cipher_for_writing
from .schemas import HEADERS, TOLERANCE, WebhookCreate, WebhookUpdate
from .tables import webhook as t

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

_COLUMNS = list(t.columns)
_NAMES = [column.name for column in _COLUMNS]
_BY_SLUG = Statement(sa.select(*_COLUMNS).where(t.c.slug == sa.bindparam("slug")))
_LIST = Statement(
    sa.select(*_COLUMNS)
    .order_by(t.c.name, t.c.id)
    .limit(sa.bindparam("limit", type_=sa.Integer()))
    .offset(sa.bindparam("offset", type_=sa.Integer()))
)
_INSERT = Statement(sa.insert(t).values({c.name: sa.bindparam(c.name, type_=c.type) for c in _COLUMNS}))
_TIMES = ("timestamp_header", "tolerance_seconds")
_CHANGED = ("updated", "name", "template", "enabled", "verify", "header", "secret", *_TIMES)
_UPDATE = Statement(
    sa.update(t)
    .values({name: sa.bindparam(f"new_{name}", type_=t.c[name].type) for name in _CHANGED})
    .where(t.c.id == sa.bindparam("webhook_id", type_=UUID()))
)
_DELETE = Statement(sa.delete(t).where(t.c.slug == sa.bindparam("slug_", type_=sa.String())))


@dataclass(frozen=True)
class Webhook:
    """A webhook as it is stored; `secret` is encrypted."""

    id: str
    created: datetime
    updated: datetime
    slug: str
    name: str
    template: str
    enabled: bool
    verify: str
    header: str | None
    secret: str | None
    timestamp_header: str | None = None
    tolerance_seconds: int | None = None

    def timed(self, body: WebhookCreate | WebhookUpdate) -> Webhook:
        """Take over whether the time is signed; a header that is null says that it is not. Raises Unprocessable."""
        header, tolerance = self.timestamp_header, self.tolerance_seconds
        if body.timestamp_header is not None:
            header = body.timestamp_header
        elif "timestamp_header" in body.model_fields_set:
            header = None
        if body.tolerance_seconds is not None:
            tolerance = body.tolerance_seconds
        asked = body.timestamp_header is not None or body.tolerance_seconds is not None
        if header is None or self.verify != "hmac-sha256":
            if asked:
                raise errors.Unprocessable(
                    "A time can only be checked where it is signed: with hmac-sha256, and a header."
                )
            return replace(self, timestamp_header=None, tolerance_seconds=None)
        return replace(self, timestamp_header=header, tolerance_seconds=tolerance or TOLERANCE)


def _of(cells: Any) -> Webhook:
    return Webhook(**dict(zip(_NAMES, cells, strict=True)))


@point_read
def by_slug(slug: str) -> Unit[Webhook | None]:
    """The webhook of a slug, or None."""
    rows = yield _BY_SLUG(slug=slug)
    return _of(rows[0]) if rows else None


def page(limit: int, offset: int) -> Unit[list[Webhook]]:
    """Webhooks by name."""
    return [_of(cells) for cells in (yield _LIST(limit=limit, offset=offset))]


def secret_of(kernel: Kernel, found: Webhook) -> Unit[str]:
    """The secret of a webhook that has one. Raises Conflict when the key that it was encrypted with is gone."""
    known = yield from cipher(kernel)
    try:
        if known is not None and found.secret is not None:
            return str(known.decrypt(found.secret)["secret"])
    except UndecryptableError:
        pass
    raise errors.Conflict("The webhook's secret cannot be read: it was encrypted with another key.")


def _checking(
    kernel: Kernel, verify: str, header: str | None, secret: str | None, now: datetime
) -> Unit[tuple[str | None, str | None, str | None]]:
    """The header, the encrypted secret, and the secret that was made up, if one had to be."""
    if verify == "none":
        return None, None, None
    made = None if secret else token_urlsafe(32)
    with_ = yield from cipher_for_writing(kernel, now)
    return header or HEADERS[verify], with_.encrypt({"secret": secret or made}), made


def create(kernel: Kernel, body: WebhookCreate, now: datetime) -> Unit[tuple[Webhook, str | None]]:
    """Store a webhook; gives it, and the secret that was made up for it. Raises Conflict when the slug is taken."""
    if (yield _BY_SLUG(slug=body.slug)):
        raise errors.Conflict(f"There is a webhook {body.slug!r} already.")
    header, secret, made = yield from _checking(kernel, body.verify, body.header, body.secret, now)
    new = Webhook(uuid4(), now, now, body.slug, body.name, body.template, body.enabled, body.verify, header, secret)
    new = new.timed(body)
    yield _INSERT.bind({name: getattr(new, name) for name in _NAMES})
    return new, made


def update(kernel: Kernel, slug: str, body: WebhookUpdate, now: datetime) -> Unit[tuple[Webhook, str | None]]:
    """Change a webhook; gives it, and the secret that was made up for it. Raises NotFound."""
    rows = yield _BY_SLUG(slug=slug)
    if not rows:
        raise errors.NotFound("Webhook not found")
    old = _of(rows[0])
    given = {name: value for name in body.model_fields_set if (value := getattr(body, name)) is not None}
    secret, header = given.pop("secret", None), given.pop("header", None)
    for name in _TIMES:
        given.pop(name, None)
    new, made = replace(old, updated=now, **given), None
    if new.verify != old.verify or secret:
        stored_header = header or (old.header if new.verify == old.verify else None)
        if not secret and old.secret is not None and new.verify != "none":
            secret = yield from secret_of(kernel, old)
        found = yield from _checking(kernel, new.verify, stored_header, secret, now)
        new, made = replace(new, header=found[0], secret=found[1]), found[2]
    elif header and new.verify != "none":
        new = replace(new, header=header)
    new = new.timed(body)
    yield _UPDATE.bind({**{f"new_{name}": getattr(new, name) for name in _CHANGED}, "webhook_id": new.id})
    return new, made


def delete(slug: str) -> Unit[bool]:
    """Delete a webhook; False when there is none."""
    return bool((yield _DELETE(slug_=slug)))
