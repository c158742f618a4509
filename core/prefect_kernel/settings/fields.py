"""How a setting is written down: one line of a group, from which its name, sources and documentation follow.

A group is a pydantic model; where it stands in the tree gives its settings their names, so `server.api.port` is
`PREFECT_SERVER_API_PORT` in the environment and `port` in the table `[server.api]` of a TOML file.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr


class Group(BaseModel):
    """Settings that belong together. Groups within a group have no default: the resolver always gives them."""

    # Only the roots are ever validated, so no group builds a validator of its own at import.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)


UNUSED = "Read for compatibility, and without effect: "
"""What begins the sentence about a setting of Prefect's that the kernel has no use for."""


def field(
    default: Any,
    doc: str = "",
    *,
    also: str | tuple[str, ...] = (),
    gt: Any = None,
    ge: Any = None,
    le: Any = None,
) -> Any:
    """A setting: its default, one sentence about it, further names it is known by, and its limits."""
    also = (also,) if isinstance(also, str) else also
    return Field(default, description=doc, gt=gt, ge=ge, le=le, json_schema_extra={"also": list(also)})


# ---------------------------------------------------------------- types
def _seconds(value: Any) -> Any:
    if isinstance(value, int | float | str):
        try:
            return timedelta(seconds=float(value))
        except (ValueError, OverflowError):
            return value  # ISO 8601, which pydantic reads, or nonsense, which it refuses
    return value


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _names(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _api_path(value: Any) -> Any:
    if not isinstance(value, str) or value == "":
        return value
    if not value.startswith("/") or value.strip("/") == "":
        raise ValueError("must be a path that begins with a slash, such as /prefect/api")
    return value.rstrip("/")


ApiPath = Annotated[str, BeforeValidator(_api_path)]
"""A path under which something is served, without a slash at its end."""
Seconds = Annotated[timedelta, BeforeValidator(_seconds)]
"""A duration; unlike a plain `timedelta` also a fraction of a second in text (`"0.5"`)."""
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""A list of names, in one text separated by commas."""


# ---------------------------------------------------------------- declarations
@dataclass(frozen=True, slots=True)
class Declaration:
    """A setting as the resolver sees it."""

    path: tuple[str, ...]
    name: str
    aliases: tuple[str, ...]
    annotation: Any
    default: Any
    doc: str
    limits: tuple[tuple[str, Any], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Its name and its aliases, in the order in which they win."""
        return (self.name, *self.aliases)

    @property
    def dotted(self) -> str:
        """Where its value stands in the settings: `server.api.port`."""
        return ".".join(self.path)

    @property
    def secret(self) -> bool:
        """Whether its value must never be shown."""
        return SecretStr in members(self.annotation)


def members(annotation: Any) -> tuple[Any, ...]:
    """The types that an annotation allows, one by one."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return members(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return tuple(inner for arg in get_args(annotation) for inner in members(arg))
    return (annotation,)


def json_reading(annotation: Any) -> Literal["never", "try", "always"]:
    """Whether text in the environment is JSON for this type, as pydantic-settings decides it.

    A list, set or mapping must be JSON; where it is one member of a union, text that is no JSON is taken as it is.
    """
    kinds = members(annotation)
    collections = [kind for kind in kinds if (get_origin(kind) or kind) in (dict, list, set)]
    if not collections:
        return "never"
    return "always" if len(kinds) == 1 else "try"


@cache
def declarations(root: type[Group]) -> dict[tuple[str, ...], Declaration]:
    """Every setting below a root, by its path."""
    return {declared.path: declared for declared in _walk(root, ())}


@cache
def groups(root: type[Group]) -> dict[tuple[str, ...], type[Group]]:
    """Every group below a root, by its path; the root itself is `()`."""
    found: dict[tuple[str, ...], type[Group]] = {(): root}

    def visit(group: type[Group], path: tuple[str, ...]) -> None:
        for name, info in group.model_fields.items():
            inner: Any = info.annotation
            if is_group(inner):
                found[(*path, name)] = inner
                visit(inner, (*path, name))

    visit(root, ())
    return found


def is_group(annotation: Any) -> TypeGuard[type[Group]]:
    """Whether a field is a group of settings, not a setting."""
    return isinstance(annotation, type) and issubclass(annotation, Group)


def limits_in(metadata: Iterable[Any]) -> tuple[tuple[str, Any], ...]:
    """The bounds among what pydantic knows of a field."""
    return tuple((kind, getattr(item, kind)) for item in metadata for kind in ("gt", "ge", "le") if hasattr(item, kind))


def _walk(group: type[Group], path: tuple[str, ...]) -> Iterator[Declaration]:
    for name, info in group.model_fields.items():
        here = (*path, name)
        inner: Any = info.annotation
        if is_group(inner):
            yield from _walk(inner, here)
            continue
        extra = info.json_schema_extra
        also = extra["also"] if isinstance(extra, dict) else []
        yield Declaration(
            path=here,
            name="PREFECT_" + "_".join(here).upper(),
            aliases=tuple(str(alias) for alias in also) if isinstance(also, list) else (),
            annotation=info.annotation,
            default=info.default,
            doc=info.description or "",
            limits=limits_in(info.metadata),
        )
