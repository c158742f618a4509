"""Bodies and queries of the routes of block documents."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, model_validator

from ..block_types.schemas import dashed
from ..common.fields import Input, Lenient, Name

DocumentName = Annotated[Name, AfterValidator(lambda name: dashed(name, "Block document name"))]


class BlockDocumentCreate(Input):
    """A block document to be made; one without a name must be anonymous."""

    name: DocumentName | None = None
    data: dict[str, Any] = {}
    block_schema_id: UUID
    block_type_id: UUID
    is_anonymous: bool = False

    @model_validator(mode="before")
    @classmethod
    def name_unless_anonymous(cls, values: Any) -> Any:
        """Refuse what has no name and needs one."""
        if isinstance(values, dict) and not values.get("is_anonymous") and not values.get("name"):
            raise ValueError("Names must be provided for block documents.")
        return values


class BlockDocumentUpdate(Input):
    """What may be changed in a block document."""

    block_schema_id: UUID | None = None
    data: dict[str, Any] = {}
    merge_existing_data: bool = True


class BlockDocumentReferenceCreate(BaseModel):
    """Which document is meant by a member of another's data; named as the reference names it in its error texts."""

    reference_block_document_id: UUID


class Secrets(Lenient):
    """Query parameters of reads."""

    include_secrets: bool = False
