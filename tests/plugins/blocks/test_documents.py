"""Block documents: secrets, nesting, changes, lists, events."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.blocks.obfuscation import HIDDEN, hidden, restored, secret_paths
from prefect_kernel_plugins.blocks.tables import block_document
from prefect_kernel_plugins.configuration.tables import configuration

from .support import data, document, kind, made, reference


def stored(kernel: KernelUnderTest, statement: Any) -> list[Any]:
    """The rows of a statement."""

    def read() -> Unit[list[Any]]:
        rows = yield Statement(statement)()
        return [tuple(row) for row in rows]

    return kernel.run(kernel.kernel.storage.read(read))


def test_data_is_encrypted_with_the_key_of_the_database(kernel: KernelUnderTest) -> None:
    """Stored is a Fernet token; the key is made with the first document, and used for all."""
    of = kind(kernel)
    assert stored(kernel, sa.select(configuration.c.key).where(configuration.c.key == "ENCRYPTION_KEY")) == []
    one, other = document(kernel, of, "one", a="größe"), document(kernel, of, "other", a=[1])
    ((key,),) = stored(kernel, sa.select(configuration.c.value).where(configuration.c.key == "ENCRYPTION_KEY"))
    fernet = Fernet(key["fernet_key"].encode())
    tokens = dict(stored(kernel, sa.select(block_document.c.name, block_document.c.data)))
    assert fernet.decrypt(tokens["one"].encode()) == b'{"a": "gr\\u00f6\\u00dfe"}'
    assert fernet.decrypt(tokens["other"].encode()) == b'{"a": [1]}'
    assert [data(kernel, one["id"]), data(kernel, other["id"])] == [{"a": "größe"}, {"a": [1]}]


@pytest.mark.parametrize("variable", ["PREFECT_SERVER_ENCRYPTION_KEY", "ORION_ENCRYPTION_KEY"])
def test_the_key_of_the_environment_comes_first(
    kernel: KernelUnderTest, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """It is used in place of the database's; what was encrypted with another key cannot be read."""
    of = kind(kernel)
    plain = document(kernel, of, "plain", a=1)
    key = Fernet.generate_key()
    monkeypatch.setenv(variable, key.decode())
    made_with_it = document(kernel, of, "own", a=2)
    tokens = dict(stored(kernel, sa.select(block_document.c.name, block_document.c.data)))
    assert Fernet(key).decrypt(tokens["own"].encode()) == b'{"a": 2}'
    assert data(kernel, made_with_it["id"]) == {"a": 2}
    assert kernel.client.get(f"/block_documents/{plain['id']}").status == 500
    monkeypatch.delenv(variable)
    assert data(kernel, plain["id"]) == {"a": 1}


def test_a_key_that_was_replaced_is_read_again(kernel: KernelUnderTest) -> None:
    """A server that keeps the key in memory looks again when a document does not fit it."""
    of = kind(kernel)
    one = document(kernel, of, "one", a=1)
    key = Fernet.generate_key()

    def replace() -> Unit[None]:
        value = {"fernet_key": key.decode()}
        yield Statement(sa.update(configuration).values(value=sa.bindparam("v", type_=configuration.c.value.type)))(
            v=value
        )
        token = Fernet(key).encrypt(b'{"a": 2}').decode()
        yield Statement(sa.update(block_document).values(data=sa.bindparam("d", type_=block_document.c.data.type)))(
            d=token
        )

    assert data(kernel, one["id"]) == {"a": 1}
    kernel.run(kernel.kernel.storage.write(replace))
    assert data(kernel, one["id"]) == {"a": 2}


@pytest.mark.parametrize(
    ("given", "secrets", "shown"),
    [
        ({"a": "x", "b": 1}, ["a"], {"a": HIDDEN, "b": 1}),
        ({"a": None, "b": {"c": 1, "d": 2}}, ["a", "b.c"], {"a": None, "b": {"c": HIDDEN, "d": 2}}),
        ({"h": {"x": {"y": None}, "z": 1}}, ["h.*"], {"h": {"x": {"y": HIDDEN}, "z": HIDDEN}}),
        ({"a": {"b": 1}, "c": {}}, ["a", "c"], {"a": {"b": 1}, "c": HIDDEN}),
        ({"a": [1, {"b": 2}]}, ["a.b", "a"], {"a": HIDDEN}),
        ({"a": {}}, ["b", "b.*"], {"a": {}}),
        ({"a": 1}, "a", {"a": 1}),
        ({"a": 1}, [1, None, "a"], {"a": HIDDEN}),
    ],
)
def test_what_is_hidden(given: dict[str, Any], secrets: Any, shown: dict[str, Any]) -> None:
    """Secrets by their paths; values of objects below a wildcard."""
    assert hidden(given, secret_paths({"secret_fields": secrets})) == shown


def test_what_comes_back_hidden_stays() -> None:
    """For a named secret and below a wildcard; a hidden value that nothing stands for is an error."""
    paths = secret_paths({"secret_fields": ["a", "h.*"]})
    old = {"a": "x", "h": {"k": "y"}}
    assert restored({"a": HIDDEN, "h": {"k": HIDDEN, "n": 1}}, old, paths) == {"a": "x", "h": {"k": "y", "n": 1}}
    with pytest.raises(KeyError):
        restored({"h": {"unknown": HIDDEN}}, old, paths)


def test_updates(kernel: KernelUnderTest) -> None:
    """Data is merged, or replaces what was there."""
    of = kind(kernel, secret_fields=["token"])
    path = f"/block_documents/{document(kernel, of, 'one', token='t', a=1)['id']}"
    id = path.rpartition("/")[2]
    assert kernel.client.patch(path, json={"data": {"token": HIDDEN, "b": 2}}).status == 204
    assert data(kernel, id) == {"token": "t", "a": 1, "b": 2}
    assert data(kernel, id, secrets=False) == {"token": HIDDEN, "a": 1, "b": 2}
    kernel.client.patch(path, json={"data": {"token": HIDDEN}, "merge_existing_data": False})
    assert data(kernel, id) == {"token": "t"}
    kernel.client.patch(path, json={})
    assert data(kernel, id) == {"token": "t"}
    other = kind(kernel, "other")
    answer = kernel.client.patch(path, json={"data": {}, "block_schema_id": other["block_schema_id"]})
    assert (answer.status, "same block type" in answer.json()["detail"]) == (400, True)


def test_documents_in_documents(kernel: KernelUnderTest) -> None:
    """The data of nested documents is shown in their place, with their own secrets hidden; nothing turns in circles."""
    plain, secret = kind(kernel), kind(kernel, "secret-kind", secret_fields=["token"])
    inner = document(kernel, secret, "inner", token="t", n=1)
    middle = document(kernel, plain, "middle", inner=reference(inner), token="seen")
    outer = document(kernel, plain, "outer", middle=reference(middle), inner=reference(inner))
    shown = {"token": HIDDEN, "n": 1}
    assert outer["data"] == {"middle": {"token": "seen", "inner": shown}, "inner": shown}
    assert data(kernel, outer["id"])["middle"]["inner"] == {"token": "t", "n": 1}
    nested = outer["block_document_references"]["middle"]["block_document"]
    assert (nested["id"], nested["name"], nested["block_type"]["slug"]) == (middle["id"], "middle", "kind")
    assert nested["block_document_references"]["inner"]["block_document"]["id"] == inner["id"]
    answer = kernel.client.patch(f"/block_documents/{inner['id']}", json={"data": {"x": reference(outer)}})
    assert answer.status == 400
    assert "it would introduce a cycle" in answer.json()["detail"]
    kernel.client.patch(f"/block_documents/{outer['id']}", json={"data": {"new": reference(inner)}})
    assert data(kernel, outer["id"], secrets=False) == {"new": shown}
    kernel.client.delete(f"/block_documents/{inner['id']}")
    assert data(kernel, outer["id"]) == {}


def test_chains_of_documents_have_an_end(kernel: KernelUnderTest) -> None:
    """Fifty levels can be read; what would be deeper is refused, and not made."""
    of = kind(kernel)
    at = document(kernel, of, "d-0")
    for level in range(1, 51):
        at = document(kernel, of, f"d-{level}", next=reference(at))
    answer = kernel.client.post("/block_documents/", json={"name": "deep", "data": {"next": reference(at)}, **of})
    assert answer.status == 400
    assert "exceeds max depth 50" in answer.json()["detail"]
    assert kernel.client.get("/block_types/slug/kind/block_documents/name/deep").status == 404
    assert kernel.client.get("/block_types/slug/kind/block_documents/name/d-50").status == 200


def test_lists(kernel: KernelUnderTest) -> None:
    """Sorted, paged, filtered; anonymous documents are left out unless they are asked for."""
    one, other = kind(kernel, "b-kind"), kind(kernel, "a-kind")
    for name in ("b", "a", "c"):
        document(kernel, one, name)
    document(kernel, other, "d")
    made(kernel, "/block_documents/", is_anonymous=True, **other)

    def found(**body: Any) -> str:
        documents = kernel.client.post("/block_documents/filter", json=body).json()
        count = kernel.client.post("/block_documents/count", json=body).json()
        assert "limit" in body or count == len(documents)
        return "".join(document["name"][0] for document in documents)

    assert found() == "abcd"
    assert found(sort="NAME_DESC") == "dcba"
    assert found(sort="BLOCK_TYPE_AND_NAME_ASC") == "dabc"
    assert found(limit=2, offset=1) == "bc"
    assert found(block_documents={"is_anonymous": None}) == "aabcd"
    assert found(block_documents={"is_anonymous": {"eq_": True}}) == "a"
    assert found(block_documents={"name": {"like_": "B"}}) == "b"
    assert found(block_types={"slug": {"any_": ["a-kind"]}}) == "d"
    assert found(block_schemas={"id": {"any_": [one["block_schema_id"]]}}) == "abc"


def test_events(kernel: KernelUnderTest) -> None:
    """Events tell what is no secret and text; anonymous documents are not talked about."""
    of = kind(kernel, secret_fields=["token", "deep.x"])
    already = len(kernel.events)
    one = document(kernel, of, "one", token="t", url="u", n=1, deep={"x": "y"})
    kernel.client.patch(f"/block_documents/{one['id']}", json={"data": {"url": "v"}})
    kernel.client.delete(f"/block_documents/{one['id']}")
    anonymous = made(kernel, "/block_documents/", is_anonymous=True, data={"url": "w"}, **of)
    kernel.client.delete(f"/block_documents/{anonymous['id']}")
    events = kernel.events[already:]
    assert [event["event"] for event in events] == [
        f"prefect.block-document.{what}" for what in ("created", "updated", "deleted")
    ]
    assert [event["payload"]["data"] for event in events] == [{"url": "u"}, {"url": "v"}, {"url": "v"}]
    assert events[0]["related"] == [
        {
            "prefect.resource.id": f"prefect.block-type.{of['block_type_id']}",
            "prefect.resource.role": "block-type",
            "prefect.resource.name": "Type kind",
        },
        {
            "prefect.resource.id": f"prefect.block-schema.{of['block_schema_id']}",
            "prefect.resource.role": "block-schema",
        },
    ]


def test_the_default_result_storage_goes_with_its_block(kernel: KernelUnderTest) -> None:
    """It is forgotten when its document, schema or type is deleted, and only then."""

    def set_to(id: str) -> None:
        def write() -> Unit[None]:
            yield Statement(sa.delete(configuration).where(configuration.c.key == "server-default-result-storage"))()
            values = {
                "id": id,
                "created": kernel.clock.now(),
                "updated": kernel.clock.now(),
                "key": "server-default-result-storage",
                "value": {"default_result_storage_block_id": id},
            }
            bound = {c.name: sa.bindparam(c.name, type_=c.type) for c in configuration.columns}
            yield Statement(sa.insert(configuration).values(bound)).bind(values)

        kernel.run(kernel.kernel.storage.write(write))

    def default() -> Any:
        return kernel.client.get("/admin/storage").json()["default_result_storage_block_id"]

    of = kind(kernel)
    for name, path in (
        ("one", "/block_documents/{document}"),
        ("two", "/block_schemas/{schema}"),
        ("three", "/block_types/{type}"),
    ):
        if name == "three":
            schema = made(kernel, "/block_schemas/", block_type_id=of["block_type_id"], fields={"title": "again"})
            of = {**of, "block_schema_id": schema["id"]}
        storage, other = document(kernel, of, name), document(kernel, of, f"{name}-other")
        set_to(storage["id"])
        kernel.client.delete(f"/block_documents/{other['id']}")
        assert default() == storage["id"]
        ids = {"document": storage["id"], "schema": of["block_schema_id"], "type": of["block_type_id"]}
        assert kernel.client.delete(path.format(**ids)).status == 204
        assert default() is None


def test_first_documents_at_the_same_time(make_kernel: MakeKernel, database_url: str) -> None:
    """Whoever is first makes the key; all can be read."""
    kernel = make_kernel(storage=database_url)
    of = kind(kernel)
    body = {"is_anonymous": True, "data": {"a": 1}, **of}
    answers = kernel.client.together(12, "POST", "/block_documents/", json=body)
    assert {answer.status for answer in answers} == {201}
    assert [data(kernel, answer.json()["id"]) for answer in answers] == [{"a": 1}] * 12
