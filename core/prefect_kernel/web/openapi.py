"""The OpenAPI document, made from the declarations that serve the routes.

Input schemas come from the pydantic types of bodies and queries; schemas of answers from the wire encoders, which
slices register with `web.describe` under the reference's names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from ..later import made
from ..wire import Field, Nested, Wire
from .described import described
from .group import Endpoint

if TYPE_CHECKING:
    from ..app import Kernel

REFERENCE = "#/components/schemas/{model}"

_KINDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "word": {"type": "string"},
    "int": {"type": "integer"},
    "time": {"type": "string", "format": "date-time"},
    "interval": {"type": "number", "format": "time-delta"},
    "bool": {"type": "boolean"},
}


def _wire_schema(wire: Wire, title: str) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for member in wire.members:
        if isinstance(member, Nested):
            properties[member.key] = {"anyOf": [_wire_schema(member.wire, member.key.title()), {"type": "null"}]}
        elif isinstance(member, Field):
            schema = dict(_KINDS.get(member.kind, {})) if isinstance(member.kind, str) else {}
            if member.key == "id" or (member.key.endswith("_id") and member.kind == "word"):
                schema["format"] = "uuid"
            properties[member.key] = (
                schema
                if not schema or member.key in ("id", "created", "updated")
                else {"anyOf": [schema, {"type": "null"}]}
            )
        elif (key := getattr(member, "key", "")) and type(member).__name__ != "Skip":
            properties[key] = {}
    return {"type": "object", "title": title, "properties": properties}


def _answer_schema(response: Any, components: dict[str, Any]) -> dict[str, Any]:
    if isinstance(response, dict):
        return response  # a JSON schema
    if response is None:
        return {}
    if not isinstance(response, str):
        model: dict[str, Any] = TypeAdapter(response).json_schema(ref_template=REFERENCE)
        for name, part in model.pop("$defs", {}).items():
            components.setdefault(name, part)
        return model
    name = response.removesuffix("[]")
    answer = described.get(name)
    if answer is None:
        return {"type": "array", "items": {}} if response.endswith("[]") else {}
    components[name] = _wire_schema(answer, name) if isinstance(answer, Wire) else answer
    schema = {"$ref": REFERENCE.format(model=name)}
    return {"type": "array", "items": schema} if response.endswith("[]") else schema


_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")

_ERROR = {
    "type": "object",
    "properties": {"detail": {}, "exception_message": {"type": "string"}, "exception_detail": {}, "request_body": {}},
}

_FAILURES = {
    400: "The request cannot be understood",
    401: "Missing or wrong credentials",
    403: "Not allowed",
    404: "There is no such object",
    405: "There is no such operation on this path",
    409: "In conflict with what is there",
    410: "There was such an object, and it is gone",
    413: "The body is too large",
    422: "The request is not valid",
    423: "Locked; Retry-After says for how long",
    429: "Too many requests",
    503: "The database is away or busy; Retry-After says when to come back",
}


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, converter in _PARAMETER.findall(endpoint.path):
        schema = {"type": "string", "format": "uuid"} if converter == "uuid" else {"type": "string", "minLength": 1}
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    if endpoint.query is not None:
        query = TypeAdapter(endpoint.query).json_schema(ref_template=REFERENCE)
        required = query.get("required", [])
        for name, part in query.get("properties", {}).items():
            found.append({"name": name, "in": "query", "required": name in required, "schema": part})
    return found


def _resolved(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """A schema, where it may be a reference to one."""
    found: dict[str, Any] = components.get(schema.get("$ref", "").rpartition("/")[2], schema)
    return found


def _operation(
    path: str, endpoint: Endpoint, body: dict[str, Any] | None, components: dict[str, Any]
) -> dict[str, Any]:
    lines = (endpoint.handler.__doc__ or "").strip().split("\n", 1)
    name, place = endpoint.handler.__name__, re.sub(r"[^a-z0-9]+", "_", path.lower()).strip("_")
    operation: dict[str, Any] = {
        "tags": [endpoint.group],
        "summary": name.replace("_", " ").title(),
        "description": lines[0],
        "operationId": f"{name}_{endpoint.method.lower()}_{place}",
        "parameters": _parameters(endpoint),
    }
    if body is not None:
        operation["requestBody"] = {
            "required": not endpoint.embed or bool(_resolved(body, components).get("required")),
            "content": {"application/json": {"schema": body}},
        }
    responses: dict[str, Any] = {}
    for status in endpoint.status:
        answer: dict[str, Any] = {"description": "Successful Response"}
        if status != 204:
            answer["content"] = {endpoint.media: {"schema": _answer_schema(endpoint.response, components)}}
        responses[str(status)] = answer
    for status, meaning in _FAILURES.items():
        responses[str(status)] = {
            "description": meaning,
            "content": {"application/json": {"schema": {"$ref": REFERENCE.format(model="Error")}}},
        }
    operation["responses"] = responses
    return operation


def document(kernel: Kernel, version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of every endpoint of a kernel."""
    components: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, Any] = {}
    endpoints: list[tuple[str, Endpoint]] = [
        (("" if group.root else kernel.api) + endpoint.path, endpoint)
        for group in kernel.groups
        for endpoint in group.endpoints
    ]
    bodies = _body_schemas((e for _, e in endpoints), components)
    for path, endpoint in endpoints:
        operation = _operation(path, endpoint, bodies.get(id(endpoint)), components)
        paths.setdefault(_PARAMETER.sub(r"{\1}", path), {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Prefect REST API", "version": version, "description": "Served by prefect-kernel."},
        "paths": paths,
        "components": {"schemas": components},
    }


def _body_schemas(endpoints: Iterable[Endpoint], components: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Schemas of bodies by endpoint; models become components once, however many routes take them."""
    found: dict[int, dict[str, Any]] = {}
    adapters: list[tuple[int, JsonSchemaMode, TypeAdapter[Any]]] = [
        (id(e), "validation", TypeAdapter(made(e.body))) for e in endpoints if e.body is not None
    ]
    schemas, shared = TypeAdapter.json_schemas(adapters, ref_template=REFERENCE)
    components.update(shared.get("$defs", {}))
    for (key, _), schema in schemas.items():
        found[key] = schema
    return found


__all__ = ["document"]
