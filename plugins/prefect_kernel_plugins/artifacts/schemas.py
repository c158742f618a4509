"""Bodies of the artifact routes."""

from __future__ import annotations

import re
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator

from ..common.fields import Input

MAX_METADATA_LENGTH = 500
"""Characters of a value of an artifact's metadata; what is longer is cut off."""

_KEY = re.compile("^[a-z0-9-]*$")  # as the reference has it: a line break at the end passes


def _key(value: str) -> str:
    if _KEY.match(value) is None:
        raise ValueError("Artifact key must only contain lowercase letters, numbers, and dashes.")
    return value


def _shortened(value: dict[str, str]) -> dict[str, str]:
    return {
        name: text if len(text) <= MAX_METADATA_LENGTH else f"{text[:MAX_METADATA_LENGTH]}..."
        for name, text in value.items()
    }


ArtifactKey = Annotated[str, AfterValidator(_key)]
Metadata = Annotated[dict[str, str], AfterValidator(_shortened)]


class ArtifactCreate(Input):
    """An artifact; with a key it becomes the latest of that key."""

    key: ArtifactKey | None = None
    type: str | None = None
    description: str | None = None
    data: dict[str, Any] | Any | None = None
    metadata_: Metadata | None = None
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class ArtifactUpdate(Input):
    """What may be changed in an artifact; only members that were given are."""

    data: dict[str, Any] | Any | None = None
    description: str | None = None
    metadata_: Metadata | None = None
