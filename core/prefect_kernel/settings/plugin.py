"""Settings that plugins bring."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from ..errors import PluginError, SettingsError
from .fields import Declaration, limits_in
from .resolve import Found, Resolution, explain_value, rank_of, take
from .sources import Source

PREFIX = "PREFECT_KERNEL_"


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a plugin, as its hook `kernel_settings` returns it.

    It is read under its name and its aliases from the environment, `.env` and the profile, and from TOML files:
    `PREFECT_KERNEL_ACME_FREEZE` is `acme_freeze` in `[kernel]`, any other name is itself in `[kernel.plugin]`, in
    lower case. `settings.plugin["ACME_FREEZE"]` is its value.
    """

    name: str
    type: Any
    default: Any
    help: str
    aliases: tuple[str, ...] = ()
    secret: bool = False

    @property
    def path(self) -> tuple[str, ...]:
        """Where TOML files have it."""
        if self.name.startswith(PREFIX):
            return ("kernel", self.name.removeprefix(PREFIX).lower())
        return ("kernel", "plugin", self.name.lower())

    @property
    def declaration(self) -> Declaration:
        """As the resolver wants it."""
        info = FieldInfo.from_annotation(self.type)
        limits = limits_in(info.metadata)
        return Declaration(self.path, self.name, tuple(self.aliases), self.type, self.default, self.help, limits)


class PluginSettings(Mapping[str, Any]):
    """The values of plugins' settings, by name."""

    def __init__(self) -> None:
        self.declared: dict[str, tuple[str, Setting]] = {}
        self.values_by_name: dict[str, Any] = {}
        self.found: dict[str, Found] = {}

    def __getitem__(self, name: str) -> Any:
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    def adopt(
        self, plugin: str, settings: Iterable[Setting], taken: Callable[[str], bool], sources: Iterable[Source]
    ) -> None:
        """Declare the settings of a plugin and look up their values. Nothing is kept when one of them is wrong.

        `taken` says whether Prefect or the kernel has a setting of that name.
        """
        declared: dict[str, tuple[str, Setting]] = {}
        values: dict[str, Any] = {}
        found_all: dict[str, Found] = {}
        problems: list[str] = []
        sources = list(sources)
        for setting in settings:
            # A second kernel with the same settings object declares the same again.
            others = {name: at for name, at in self.declared.items() if at != (plugin, setting)}
            adapter = _check(plugin, setting, taken, {*others, *declared})
            resolution = Resolution()
            for index, source in enumerate(sources):
                _look_up(setting, source, index, resolution)
            problems += resolution.problems
            found = resolution.found.get(setting.path)
            try:
                values[setting.name] = adapter.validate_python(setting.default if found is None else found.value)
            except ValidationError as error:
                if found is None:
                    raise PluginError(
                        f"plugin {plugin}: the default of setting {setting.name} is not allowed.", plugin
                    ) from error
                problems.append(explain_value(setting.declaration, found, error, setting.secret))
            if found is not None:
                found_all[setting.name] = found
            for name in (setting.name, *setting.aliases):
                declared[name] = (plugin, setting)
        if problems:
            raise SettingsError("\n".join(problems))
        self.declared |= declared
        self.values_by_name |= values
        self.found |= found_all


def _check(plugin: str, setting: object, taken: Callable[[str], bool], declared: Collection[str]) -> TypeAdapter[Any]:
    if not isinstance(setting, Setting):
        raise PluginError(f"plugin {plugin}: kernel_settings must return Setting objects, not {setting!r}.", plugin)
    names: tuple[Any, ...] = (setting.name, *setting.aliases)
    for name in names:
        if not isinstance(name, str) or not name.isidentifier() or name != name.upper():
            raise PluginError(
                f"plugin {plugin}: {name!r} is no name for a setting; use capitals, digits and underscores.", plugin
            )
        if name in declared or taken(name):
            raise PluginError(f"plugin {plugin}: there is a setting named {name} already.", plugin)
        if name.startswith("PREFECT_SERVER_"):
            raise PluginError(f"plugin {plugin}: {name} looks like a setting of Prefect; begin with {PREFIX}.", plugin)
    try:
        return TypeAdapter(setting.type)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise PluginError(
            f"plugin {plugin}: the type of setting {setting.name} cannot be validated.", plugin
        ) from error


def _look_up(setting: Setting, source: Source, index: int, resolution: Resolution) -> None:
    declared = setting.declaration
    if source.kind == "table":
        here: Any = source.values
        for key in setting.path:
            here = here.get(key) if isinstance(here, Mapping) else None
        if here is not None:
            take(declared, rank_of(index, 0), declared.dotted, here, source, resolution)
        return
    for position, name in enumerate(declared.names):
        if source.values.get(name) is not None or (source.kind == "override" and name in source.values):
            take(declared, rank_of(index, position), name, source.values[name], source, resolution)
