"""Bodies of the routes of agreements."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..common.fields import Storable

MOST = 100
"""Agreements that a deployment may have."""

KINDS = ("duration", "within", "stale_after")

_Span = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=3650))]


class SlaBody(BaseModel):
    """An agreement: a name, and exactly one of `duration`, `within` and `stale_after`, in seconds or as ISO 8601."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[Storable, Field(min_length=1, max_length=200)]
    severity: Literal["minor", "low", "moderate", "high", "critical"] = "moderate"
    enabled: bool | None = True
    duration: _Span | None = None
    within: _Span | None = None
    stale_after: _Span | None = None

    @model_validator(mode="after")
    def one_kind(self) -> Self:
        """Which of the three is given says what is agreed upon."""
        if sum(getattr(self, kind) is not None for kind in KINDS) != 1:
            raise ValueError("exactly one of duration, within and stale_after must be given")
        return self

    @property
    def kind(self) -> str:
        """Which of the three it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def seconds(self) -> float:
        """How long."""
        span: timedelta = getattr(self, self.kind)
        return span.total_seconds()


class SlaCreate(SlaBody):
    """An agreement about a deployment."""

    deployment_id: UUID


SlaList = Annotated[list[SlaBody], Field(max_length=MOST)]
"""All agreements about a deployment."""


class Page(BaseModel):
    """Which agreements: those of a deployment, or all."""

    deployment_id: UUID | None = None
    limit: Annotated[int, Field(ge=0, le=200)] = 200
    offset: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """An agreement as clients see it."""
    kept = ("id", "created", "updated", "deployment_id", "name", "severity", "enabled")
    return {
        **{name: row[name] for name in kept},
        row["kind"]: row["seconds"],
        "owner_resource": f"prefect.deployment.{row['deployment_id']}",
    }
