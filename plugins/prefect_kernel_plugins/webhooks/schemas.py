"""Bodies of the webhook routes."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..common.fields import Storable
from ..common.templates import TemplateError, check_template

Verify = Literal["secret", "hmac-sha256", "none"]

HEADERS = {"secret": "x-webhook-secret", "hmac-sha256": "x-hub-signature-256"}
"""Where the secret, or the signature, is looked for when nothing else is said."""


def _template(text: str) -> str:
    try:
        check_template(text)
    except TemplateError as error:
        raise ValueError(f"this is no valid template: {error}") from None
    return text


def _header(name: str) -> str:
    return name.lower()


Name = Annotated[Storable, Field(min_length=1, max_length=200)]
Slug = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{2,99}$")]
Template = Annotated[Storable, Field(min_length=1, max_length=20_000), AfterValidator(_template)]
Header = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$"), AfterValidator(_header)]
Secret = Annotated[str, Field(min_length=8, max_length=500)]
Tolerance = Annotated[int, Field(ge=1, le=86_400)]

TOLERANCE = 300
"""Seconds by which a signed time may differ from the server's when nothing else is said."""


def _slug() -> str:
    return secrets.token_urlsafe(16).replace("_", "x").replace("-", "y")


class WebhookCreate(BaseModel):
    """A webhook to be made. What is left out is made up: a slug that nobody guesses, and a secret."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    template: Template
    slug: Slug = Field(default_factory=_slug)
    enabled: bool = True
    verify: Verify = "secret"
    header: Header | None = None
    secret: Secret | None = None
    timestamp_header: Header | None = None
    tolerance_seconds: Tolerance | None = None


class WebhookUpdate(BaseModel):
    """What may be changed in a webhook; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    template: Template | None = None
    enabled: bool | None = None
    verify: Verify | None = None
    header: Header | None = None
    secret: Secret | None = None
    timestamp_header: Header | None = None
    tolerance_seconds: Tolerance | None = None


class Page(BaseModel):
    """Which part of a list."""

    limit: Annotated[int, Field(ge=0, le=200)] = 200
    offset: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


def shown(row: Any, path: str) -> dict[str, Any]:
    """A webhook as clients see it: without its secret."""
    return {
        **{name: getattr(row, name) for name in ("id", "created", "updated", "slug", "name", "template", "enabled")},
        "verify": row.verify,
        "header": row.header,
        "timestamp_header": row.timestamp_header,
        "tolerance_seconds": row.tolerance_seconds,
        "path": path,
    }
