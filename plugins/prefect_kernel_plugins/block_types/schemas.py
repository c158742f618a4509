"""Bodies of the routes of block types."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from ..common.fields import Input, Name


def dashed(name: str, what: str) -> str:
    """The name, if it has nothing but lower-case letters, digits and dashes; raises ValueError otherwise."""
    if not re.match("^[a-z0-9-]*$", name):
        raise ValueError(f"{what} must only contain lowercase letters, numbers, and dashes.")
    return name


Slug = Annotated[str, AfterValidator(lambda slug: dashed(slug, "Block type slug"))]


class BlockTypeUpdate(Input):
    """What may be changed in a block type; only members that were given are."""

    logo_url: str | None = None
    documentation_url: str | None = None
    description: str | None = None
    code_example: str | None = None


class BlockTypeCreate(Input):
    """A block type to be made."""

    name: Name
    slug: Slug
    logo_url: str | None = None
    documentation_url: str | None = None
    description: str | None = None
    code_example: str | None = None
