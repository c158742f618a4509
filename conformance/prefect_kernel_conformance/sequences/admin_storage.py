"""The default result storage of the server."""

from __future__ import annotations

from ..script import Ref, Script, sequence
from ._bad_input import WRONG, bad_bodies, bad_content_types, wrong_methods

PATH = "/admin/storage"


def _document(s: Script, stem: str, *capabilities: str) -> Ref:
    kind = s.post("/block_types/", {"name": s.name(stem), "slug": s.name(stem)})
    fields = {"title": s.name(stem), "type": "object", "properties": {}}
    schema = s.post(
        "/block_schemas/", {"fields": fields, "block_type_id": kind["id"], "capabilities": list(capabilities)}
    )
    body = {"name": s.name(stem), "data": {}, "block_schema_id": schema["id"], "block_type_id": kind["id"]}
    return s.post("/block_documents/", body)


@sequence
def set_and_clear(s: Script) -> None:
    """A block that can store results; one that cannot; one that is not there."""
    s.delete(PATH)
    s.get(PATH)
    able, other = _document(s, "able", "write-path", "read-path"), _document(s, "other", "write-path")
    unable = _document(s, "unable", "read-path")
    for document in (able["id"], able["id"], unable["id"], other["id"], s.uuid()):
        s.put(PATH, {"default_result_storage_block_id": document})
        s.get(PATH)
        s.rows("configuration", columns=["key", "value"], key="server-default-result-storage")
    s.delete(PATH)
    s.rows("configuration", columns=["key", "value"], key="server-default-result-storage")
    s.delete(PATH)
    s.get(PATH)


@sequence(independent=True)
def bad_input(s: Script) -> None:
    """Bodies and methods that are none."""
    good = {"default_result_storage_block_id": s.uuid()}
    bad_bodies(s, "PUT", PATH, good)
    bad_content_types(s, "PUT", PATH, f'{{"default_result_storage_block_id": "{s.uuid("x")}"}}')
    for value in WRONG:
        s.put(PATH, {"default_result_storage_block_id": value})
    s.put(PATH, {**good, "unknown": 1})
    wrong_methods(s, PATH, ("GET", "PUT", "DELETE"))
