"""Tables of blocks: types, their schemas, documents, and what refers to what."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import metadata
from prefect_kernel.sql.types import JSON, UUID, Bool, Timestamp

block_type = sa.Table(
    "block_type",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("logo_url", sa.String()),
    sa.Column("documentation_url", sa.String()),
    sa.Column("description", sa.String()),
    sa.Column("code_example", sa.String()),
    sa.Column("is_protected", Bool(), nullable=False),
    sa.Column("slug", sa.String(), nullable=False),
)

block_schema = sa.Table(
    "block_schema",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("fields", JSON(), nullable=False),
    sa.Column("block_type_id", UUID(), nullable=False),
    sa.Column("checksum", sa.String(), nullable=False),
    sa.Column("capabilities", JSON(), nullable=False),
    sa.Column("version", sa.String(), nullable=False),
)

block_schema_reference = sa.Table(
    "block_schema_reference",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("parent_block_schema_id", UUID(), nullable=False),
    sa.Column("reference_block_schema_id", UUID(), nullable=False),
)

block_document = sa.Table(
    "block_document",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("data", JSON(), nullable=False),
    sa.Column("block_schema_id", UUID(), nullable=False),
    sa.Column("block_type_id", UUID(), nullable=False),
    sa.Column("is_anonymous", Bool(), nullable=False),
    sa.Column("block_type_name", sa.String()),
)

block_document_reference = sa.Table(
    "block_document_reference",
    metadata,
    sa.Column("id", UUID(), primary_key=True),
    sa.Column("created", Timestamp(), nullable=False),
    sa.Column("updated", Timestamp(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("parent_block_document_id", UUID(), nullable=False),
    sa.Column("reference_block_document_id", UUID(), nullable=False),
)
