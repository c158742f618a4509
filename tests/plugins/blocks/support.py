"""Making blocks over the API."""

from __future__ import annotations

from typing import Any

from prefect_kernel.testing import KernelUnderTest


def made(kernel: KernelUnderTest, path: str, **body: Any) -> dict[str, Any]:
    """What a POST has made."""
    answer = kernel.client.post(path, json=body)
    assert answer.status in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


def kind(kernel: KernelUnderTest, slug: str = "kind", **fields: Any) -> dict[str, Any]:
    """`block_type_id` and `block_schema_id` of a new type with a schema of these fields."""
    of = made(kernel, "/block_types/", name=f"Type {slug}", slug=slug)
    schema = made(kernel, "/block_schemas/", block_type_id=of["id"], fields={"title": slug, **fields})
    return {"block_type_id": of["id"], "block_schema_id": schema["id"]}


def document(kernel: KernelUnderTest, of: dict[str, Any], name: str, **data: Any) -> dict[str, Any]:
    """A new document."""
    return made(kernel, "/block_documents/", name=name, data=data, **of)


def data(kernel: KernelUnderTest, id: str, secrets: bool = True) -> Any:
    """The data of a document."""
    answer = kernel.client.get(f"/block_documents/{id}", params={"include_secrets": "true" if secrets else "false"})
    assert answer.status == 200, answer.text
    return answer.json()["data"]


def reference(document: dict[str, Any]) -> dict[str, Any]:
    """What stands for a document in the data of another."""
    return {"$ref": {"block_document_id": document["id"]}}
