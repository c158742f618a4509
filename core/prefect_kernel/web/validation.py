"""Input validation: pydantic, with the error bodies that FastAPI makes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from math import isfinite
from typing import Any

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from .. import errors
from ..later import Later, made
from ..sql.types import may_hold_wide_integers

JSON_TYPES = ("application/json",)


def _presentable(details: list[Any], where: str) -> list[dict[str, Any]]:
    """Pydantic's errors as FastAPI shows them: `loc` begins with where the value came from, exceptions become {}."""
    out = []
    for detail in details:
        detail["loc"] = [where, *detail["loc"]]
        if "ctx" in detail:
            detail["ctx"] = {k: {} if isinstance(v, BaseException) else v for k, v in detail["ctx"].items()}
        out.append(detail)
    return out


_NO_UNICODE: dict[str, Any] = {
    "type": "string_unicode",
    "loc": ["body"],
    "msg": "Input should be a valid string, unable to parse raw data as a unicode string",
    "input": None,
}


def _missing(name: str) -> dict[str, Any]:
    return {"type": "missing", "loc": ["body", name], "msg": "Field required", "input": None}


_NESTING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def check_depth(content: bytes, limit: int) -> None:
    """Raise InvalidRequest when JSON is nested to more levels than that; what is no JSON is the parser's business."""
    if content.count(b"[") + content.count(b"{") <= limit:
        return
    depth = 0
    for found in _NESTING.finditer(content):
        kind = found[0]
        if kind in (b"[", b"{"):
            depth += 1
            if depth > limit:
                message = f"JSON may be nested to {limit} levels"
                raise errors.InvalidRequest(
                    [{"type": "json_invalid", "loc": ["body", found.start()], "msg": message, "input": {}}], None
                )
        elif kind in (b"]", b"}"):
            depth -= 1


_NUMBERS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|NaN|-?Infinity|-?\d[-+.\deE]*', re.DOTALL)


class _NotFiniteError(ValueError):
    """Not a number, or more than a number can be."""


def _no_constant(text: str) -> Any:
    raise _NotFiniteError(text)


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise _NotFiniteError(text)
    return number


def _not_finite(content: bytes, number: str) -> errors.InvalidRequest:
    """What is wrong with such a body: the reference takes the number, and keeps null in its place."""
    text = content.decode(json.detect_encoding(content), "surrogatepass")
    places = (found.start() for found in _NUMBERS.finditer(text) if found[0] == number)
    return errors.InvalidRequest([_json_invalid(next(places, 0), f"{number[:40]} is not a finite number")], text)


def _json_invalid(place: int, message: str) -> dict[str, Any]:
    shown = {"type": "json_invalid", "loc": ["body", place], "msg": "JSON decode error", "input": {}}
    return {**shown, "ctx": {"error": message}}


def parse_json(content: bytes) -> Any:
    """The JSON value of a body; raises InvalidRequest with FastAPI's `json_invalid` error."""
    if not may_hold_wide_integers(content):
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            pass  # the standard parser takes lone surrogates, and says what is wrong as the reference does
    try:
        return json.loads(content, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise errors.InvalidRequest([_json_invalid(error.pos, error.msg)], error.doc) from None
    except _NotFiniteError as error:
        raise _not_finite(content, str(error)) from None
    except (ValueError, RecursionError):  # not UTF-8, or an integer of thousands of digits
        raise errors.BadRequest("There was an error parsing the body") from None


def is_json(content_type: str | None) -> bool:
    """True for application/json, application/*+json, and no content type at all."""
    if content_type is None:
        return True
    kind = content_type.split(";", 1)[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


class Beforehand:
    """Metadata of a member of a body that is checked before all others, by `check(request, value)`.

    What it raises is the answer, whatever else is wrong with the body or the path. Handlers call the same check: where
    nothing else is wrong, nothing is checked twice.
    """

    __slots__ = ("_adapter", "_check")

    def __init__(self, type_: Any, check: Callable[[Any, Any], Any]) -> None:
        self._adapter: TypeAdapter[Any] = TypeAdapter(type_)
        self._check = check

    def __call__(self, request: Any, value: Any) -> None:
        """Check a value as it was sent; one of another type is the business of the body's model."""
        try:
            value = self._adapter.validate_python(value)
        except ValidationError:
            return
        self._check(request, value)


class BodyReader:
    """Turns the bytes of a body into the declared type.

    `embed=True` stands for FastAPI's several body parameters: the type is a model of them, each may be absent or null,
    and keys that are not declared are ignored.
    """

    __slots__ = ("_adapter", "_fields", "_first", "_given", "_required", "embed", "type")

    def __init__(self, type_: Any, embed: bool) -> None:
        self._given, self.embed = type_, embed
        if not isinstance(type_, Later):
            self._make()

    def __getattr__(self, name: str) -> Any:
        """What is not there yet: the first request that has such a body makes it."""
        if name not in self.__slots__:
            raise AttributeError(name)
        self._make()
        return getattr(self, name)

    def _make(self) -> None:
        type_ = self.type = made(self._given)
        self._adapter = TypeAdapter(type_)
        self._fields: list[str] = []
        self._required = True
        self._first: list[tuple[str, Beforehand]] = []
        if self.embed:
            assert issubclass(type_, BaseModel)
            self._fields = [f.alias or name for name, f in type_.model_fields.items()]
            self._required = any(f.is_required() for f in type_.model_fields.values())
            self._first = [
                (f.alias or name, check)
                for name, f in type_.model_fields.items()
                for check in f.metadata
                if isinstance(check, Beforehand)
            ]

    def parse(self, content: bytes, content_type: str | None) -> Any:
        """The value that was sent, not yet validated: bytes when it is not said to be JSON.

        Raises InvalidRequest (422) when it should be JSON and is not.
        """
        if not content:
            return None
        return parse_json(content) if is_json(content_type) else content

    def __call__(self, content: bytes, content_type: str | None) -> Any:
        """Parse and validate; raises InvalidRequest (422)."""
        return self.validate(self.parse(content, content_type))

    def check_first(self, request: Any, body: Any) -> None:
        """Raise what members of a wrong body that are checked before all others have to say."""
        for name, check in self._first:
            if isinstance(body, dict) and name in body:
                check(request, body[name])

    def validate(self, body: Any) -> Any:
        """Validate a parsed body; raises InvalidRequest (422)."""
        value = body
        if self.embed:
            if body is None or isinstance(body, bytes):
                value = {}
            elif isinstance(body, dict):
                value = {k: v for k, v in body.items() if v is not None}
            else:
                raise errors.InvalidRequest([_missing(name) for name in self._fields], body)
        elif body is None:
            raise errors.InvalidRequest(
                [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}], None
            )
        try:
            return self._adapter.validate_python(value, from_attributes=True)
        except ValidationError as error:
            details = _presentable(list(error.errors(include_url=False)), "body")
            if self.embed:
                for detail in details:
                    if detail["type"] == "missing" and len(detail["loc"]) == 2:
                        detail["input"] = None
            raise errors.InvalidRequest(details, body) from None
        except UnicodeEncodeError:  # pydantic cannot look at a lone surrogate where it wants a time or an id
            raise errors.InvalidRequest([_NO_UNICODE], None) from None


class PathReader:
    """A parameter of a path that is validated as bodies are: a wrong one is told of (422) where others are 404."""

    __slots__ = ("_adapter", "name")

    def __init__(self, name: str, type_: Any) -> None:
        self.name = name
        self._adapter: TypeAdapter[Any] = TypeAdapter(type_)

    def __call__(self, path: dict[str, str], content: bytes) -> Any:
        """The parameter's value; raises InvalidRequest (422), with the body that was sent."""
        try:
            return self._adapter.validate_python(path[self.name])
        except ValidationError as error:
            raise errors.InvalidRequest(self._shown(error), parse_json(content) if content else None) from None

    def problems(self, path: dict[str, str]) -> list[dict[str, Any]]:
        """What is wrong with it, to be told together with what is wrong with the body."""
        try:
            self._adapter.validate_python(path[self.name])
        except ValidationError as error:
            return self._shown(error)
        return []

    def _shown(self, error: ValidationError) -> list[dict[str, Any]]:
        return [{**detail, "loc": ["path", self.name]} for detail in error.errors(include_url=False)]


class QueryReader:
    """Turns a query string into a declared model; a field of list type collects repeated keys."""

    __slots__ = ("_adapter", "_lists", "type")

    def __init__(self, type_: type[BaseModel]) -> None:
        self.type = type_
        self._adapter = TypeAdapter(type_)
        self._lists = {
            field.alias or name
            for name, field in type_.model_fields.items()
            if getattr(field.annotation, "__origin__", None) is list
        }

    def __call__(self, args: list[tuple[str, str]]) -> Any:
        """Validate; raises InvalidRequest (422)."""
        values: dict[str, Any] = {}
        for key, value in args:
            if key in self._lists:
                values.setdefault(key, []).append(value)
            else:
                values[key] = value
        try:
            return self._adapter.validate_python(values)
        except ValidationError as error:
            details = _presentable(list(error.errors(include_url=False)), "query")
            for detail in details:
                if detail["type"] == "missing":
                    detail["input"] = None
            raise errors.InvalidRequest(details, None) from None
