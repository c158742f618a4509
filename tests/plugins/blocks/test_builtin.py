"""The block types that a server has from its start."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.blocks import builtin, checksums
from prefect_kernel_plugins.blocks.tables import block_schema_reference, block_type

PROTECTED = ["local-file-system", "secret", "webhook"]


def types(kernel: KernelUnderTest) -> dict[str, dict[str, Any]]:
    """All types by their slugs."""
    return {one["slug"]: one for one in kernel.client.post("/block_types/filter", json={}).json()}


def number_of_references(kernel: KernelUnderTest) -> int:
    """How many references there are between schemas."""

    def count() -> Unit[int]:
        rows = yield Statement(sa.select(sa.func.count()).select_from(block_schema_reference))()
        return int(rows[0][0])

    return kernel.run(kernel.kernel.storage.read(count))


def again(kernel: KernelUnderTest) -> None:
    """Do what a start does."""
    kernel.run(builtin.register(kernel.kernel))


def test_a_start_registers_them_once(kernel: KernelUnderTest) -> None:
    """Types, schemas and references are those of the data file; nothing is emitted, and starting again adds nothing."""
    data = builtin.everything()
    for _ in range(2):
        found = types(kernel)
        assert set(found) == {one["slug"] for one in data["types"]}
        assert sorted(slug for slug, one in found.items() if one["is_protected"]) == PROTECTED
        schemas = kernel.client.post("/block_schemas/filter", json={}).json()
        assert [one["checksum"] for one in reversed(schemas)] == [one["checksum"] for one in data["schemas"]]
        assert number_of_references(kernel) == len(data["references"])
        assert kernel.events == []
        again(kernel)


def test_what_is_missing_or_differs_is_put_right(kernel: KernelUnderTest) -> None:
    """A type that was deleted comes back with its schemas; one that was changed is as it was, with its id."""
    before = types(kernel)
    kernel.client.delete(f"/block_types/{before['s3-bucket']['id']}")
    kernel.client.patch(f"/block_types/{before['secret']['id']}", json={"description": "changed"})
    assert "s3-bucket" not in types(kernel)
    again(kernel)
    after = types(kernel)
    assert after["secret"] == {**before["secret"], "updated": after["secret"]["updated"]}
    assert after["s3-bucket"]["id"] != before["s3-bucket"]["id"]
    body = {"block_schemas": {"block_type_id": {"any_": [after["s3-bucket"]["id"]]}}}
    (schema,) = kernel.client.post("/block_schemas/filter", json=body).json()
    assert schema["fields"]["block_schema_references"]["credentials"]


def test_texts_that_are_stored_unescaped_are_the_same(kernel: KernelUnderTest) -> None:
    """The reference escapes texts where it makes a type, and not where it updates one."""

    def unescaped() -> Unit[None]:
        text = sa.func.replace(sa.func.replace(block_type.c.code_example, "&gt;", ">"), "&lt;", "<")
        yield Statement(sa.update(block_type).values(code_example=text))()

    kernel.run(kernel.kernel.storage.write(unescaped))
    assert kernel.run(kernel.kernel.storage.read(builtin.complete))


def test_a_start_can_leave_them_out(make_kernel: MakeKernel) -> None:
    """There is a setting; and protected types can be asked for."""
    kernel = make_kernel(settings={"PREFECT_SERVER_REGISTER_BLOCKS_ON_START": False})
    assert types(kernel) == {}
    for _ in range(2):
        answer = kernel.client.post("/block_types/install_system_block_types")
        assert (answer.status, answer.json()) == (200, None)
        assert sorted(types(kernel)) == PROTECTED
    assert len(kernel.client.post("/block_schemas/filter", json={}).json()) == 3


def test_protected_types_stay(kernel: KernelUnderTest) -> None:
    """Neither they nor their schemas can be deleted."""
    secret = types(kernel)["secret"]
    answer = kernel.client.delete(f"/block_types/{secret['id']}")
    assert (answer.status, answer.json()) == (403, {"detail": "protected block types cannot be deleted."})
    body = {"block_schemas": {"block_type_id": {"any_": [secret["id"]]}}}
    schema = kernel.client.post("/block_schemas/filter", json=body).json()[0]
    assert kernel.client.delete(f"/block_schemas/{schema['id']}").status == 403


def test_checksums_are_those_of_the_reference() -> None:
    """The checksum of each recorded schema without nested ones is what the reference computed."""
    data = builtin.everything()
    nested = {one["parent"] for one in data["references"]}
    tested = 0
    for number, schema in enumerate(data["schemas"]):
        if number not in nested and "definitions" not in str(schema["fields"]):
            fields = {**schema["fields"], "block_schema_references": {}}
            assert schema["checksum"] in (checksums.checksum(schema["fields"]), checksums.checksum(fields))
            tested += 1
    assert tested > 20


@pytest.mark.parametrize("view", ["aggregate-worker-metadata", "aggregate-block-metadata"])
def test_views_of_collections(kernel: KernelUnderTest, view: str) -> None:
    """They come from files; what the reference has from the network alone is missing."""
    answer = kernel.client.get(f"/collections/views/{view}")
    assert answer.status == 200
    assert "prefect-aws" in answer.json()
    assert kernel.client.get("/collections/views/x").json() == {"detail": "View x not found in registry"}
    missing = kernel.client.get("/collections/views/demo-flows")
    assert (missing.status, missing.json()) == (404, {"detail": "Requested content missing for view demo-flows"})
