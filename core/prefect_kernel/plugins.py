"""Which plugins there are, loading them, and calling their hooks one by one.

Pluggy is used at boot only. Each implementation of a hook is called by itself, so that an error names its plugin and
does not lose what the others returned. A plugin that somebody asked for must work; an installed one that merely lies
about is skipped as a whole when it does not, and nothing that it offered is kept.
"""

from __future__ import annotations

import difflib
import inspect
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FunctionType, MethodType, ModuleType
from typing import Any

import pluggy

from . import hookspecs
from ._internal import finding
from ._internal.finding import Source
from ._internal.limits import TookTooLong, time_limit
from .builtin import DEFAULT, ESSENTIAL
from .errors import PluginError, SettingsError, told
from .versions import API_VERSION, VERSION

log = logging.getLogger("prefect_kernel.plugins")

BUILTIN, GIVEN, NAMED, INSTALLED = "built-in", "given", "named", "installed"
LOADED, SKIPPED, DISABLED, FAILED = "loaded", "skipped", "disabled", "failed"


@dataclass(eq=False)
class Plugin:
    """A plugin and what became of it."""

    name: str
    origin: str
    """`built-in`, `named` (by `--plugins`), `installed` (found by its entry point), or `given` (in a test)."""
    where: str = ""
    module: Any = None
    version: str = ""
    state: str = LOADED
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    """What is odd about it, though no error."""
    declared: dict[str, list[Any]] = field(default_factory=dict)
    """Hook -> what it returned."""

    @property
    def required(self) -> bool:
        """Whether the server does not start without it."""
        return self.origin != INSTALLED

    @property
    def trusted(self) -> bool:
        """Whether its code is the server's own, and needs no watching."""
        return self.origin == BUILTIN

    def check_settings(self, declared: Sequence[Any]) -> None:
        """Raise PluginError for names that Prefect, or a package of its, may take one day (aliases may be such)."""
        for setting in declared:
            name = str(setting.name)
            if name.startswith("PREFECT_") and not name.startswith("PREFECT_KERNEL_") and not self.trusted:
                said = f"{name} looks like a setting of Prefect; begin with PREFECT_KERNEL_, or not with PREFECT_."
                raise PluginError(f"plugin {self.name}: {said}", self.name)

    @property
    def prefixes(self) -> list[str]:
        """How names of its tables may begin."""
        package = str(getattr(self.module, "__name__", self.name)).split(".", 1)[0]
        names = {self.name, package} if not package.startswith("_") else {self.name}
        return [f"{name}_" for name in sorted(map(finding.identifier, names))]


class _Manager(pluggy.PluginManager):
    """A manager that looks for hooks among a module's functions alone.

    Pluggy looks at every name of every module with much care, and does so again for every kernel of a process.
    """

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> pluggy.HookimplOpts | None:
        if isinstance(plugin, ModuleType):
            value = vars(plugin).get(name, self)  # a name that a module makes up when it is asked is for pluggy
            if value is not self and not (isinstance(value, FunctionType | MethodType) and hasattr(value, self._mark)):
                return None
        return super().parse_hookimpl_opts(plugin, name)

    @property
    def _mark(self) -> str:
        return f"{self.project_name}_impl"


class Plugins:
    """The plugins of one kernel; a fresh manager each time."""

    def __init__(self, *, timeout: float = 10.0, specs: ModuleType = hookspecs) -> None:
        """`timeout` is how many seconds a plugin that is not built in has to be imported, and for each hook."""
        self.manager = _Manager("prefect_kernel")
        self.manager.add_hookspecs(specs)
        self.hooks: list[str] = [name for name in vars(specs) if name.startswith("kernel_")]
        self.known: list[Plugin] = []
        """Every plugin that was met, in load order."""
        self.problems: list[str] = []
        """A sentence about each plugin that must work and does not."""
        self._timeout = timeout

    @classmethod
    def of(cls, settings: Any, *given: Any) -> Plugins:
        """Those that the settings say: built-ins, then `given` and named ones, then installed ones by name.

        What is given may be an object with hooks, or a name as for `--plugins`. What is wrong with plugins that must
        work is among the `problems`, for `check` to raise.
        """
        wanted = settings.kernel
        plugins = cls(timeout=wanted.plugin_timeout)
        disable = _Disable(wanted.disable)
        for path in ESSENTIAL:
            if disable.wants(finding.short(path), path):
                raise SettingsError(f"Plugin {finding.short(path)} cannot be disabled: the server needs it.")
            plugins.load(finding.builtin(path, VERSION), BUILTIN)
        for path in DEFAULT:
            source = finding.builtin(path, VERSION)
            if disable.wants(source.name, path):
                plugins.known.append(Plugin(source.name, BUILTIN, source.where, version=VERSION, state=DISABLED))
            else:
                plugins.load(source, BUILTIN)
        for item in given:
            if not isinstance(item, str):
                names = [plugin.name for plugin in plugins.known]
                plugins.load(finding.given(item, names), GIVEN)
        for name in [*(item for item in given if isinstance(item, str)), *wanted.plugins]:
            plugins._load_named(name, disable)
        if not wanted.no_autoload:
            plugins._load_installed(disable)
        disable.check(plugins.known)
        return plugins

    def check(self) -> None:
        """Raise PluginError, with a sentence for each, when plugins that must work do not."""
        if self.problems:
            raise PluginError("\n".join(self.problems))

    # ------------------------------------------------------------ loading
    def _load_named(self, name: str, disable: _Disable) -> None:
        if name in {finding.short(path) for path in ESSENTIAL + DEFAULT} or name in ESSENTIAL + DEFAULT:
            return  # it is there already
        try:
            source = finding.named(name)
        except PluginError as error:
            self.known.append(Plugin(name, NAMED, state=FAILED, reason=error.message))
            self.problems.append(error.message)
            return
        if disable.wants(source.name, name):
            raise SettingsError(f"Plugin {source.name} is both wanted and disabled.")
        self.load(source, NAMED)

    def _load_installed(self, disable: _Disable) -> None:
        for source in finding.installed():
            if any(p.name == source.name and p.where in (source.where, source.name) for p in self.known):
                continue  # named, too
            if disable.wants(source.name):
                self.known.append(Plugin(source.name, INSTALLED, source.where, version=source.version, state=DISABLED))
            else:
                self.load(source, INSTALLED)

    def load(self, source: Source, origin: str) -> None:
        """Import and register a plugin."""
        plugin = Plugin(source.name, origin, source.where, version=source.version)
        try:
            with self.blaming(plugin, "cannot be imported"):
                plugin.module = source.load()
            twin = next((p for p in self.loaded if p.module is plugin.module), None)
            if twin is not None:
                return  # the same one by another name
            self._register(plugin)
        except PluginError as error:
            self.known.append(plugin)
            self._turn_down(plugin, error)
            return
        self.known.append(plugin)
        for note in plugin.notes:
            log.warning("plugin %s: %s", plugin.name, note)

    def _register(self, plugin: Plugin) -> None:
        """Check what can be checked without calling a hook, and make the hooks known."""
        if any(p.name == plugin.name for p in self.known):
            raise PluginError(f"plugin {plugin.name}: there is a plugin of that name already", plugin.name)
        plugin.version = finding.version_of(plugin.module, plugin.version)
        if not plugin.trusted:
            self._check_api(plugin)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                self.manager.register(plugin.module, plugin.name)
            except Exception as error:  # wrong arguments of a hook, or attributes that raise when they are looked at
                raise PluginError(f"plugin {plugin.name}: {_refusal(error)}", plugin.name) from error
        plugin.notes += [str(warning.message) for warning in caught]
        try:
            self._check_hooks(plugin)
        except PluginError:
            self.manager.unregister(name=plugin.name)
            raise

    def _check_api(self, plugin: Plugin) -> None:
        wanted = getattr(plugin.module, "KERNEL_API", None)
        if wanted is None:
            if plugin.origin != GIVEN:
                plugin.notes.append(f'it does not say which plugin interface it needs (KERNEL_API = ">={API_VERSION}")')
            return
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            fits = SpecifierSet(wanted).contains(API_VERSION)
        except (InvalidSpecifier, TypeError, AttributeError) as error:
            raise PluginError(
                f'plugin {plugin.name}: KERNEL_API is {wanted!r}, and not a version range such as ">=1.0,<2"',
                plugin.name,
            ) from error
        if not fits:
            raise PluginError(
                f"plugin {plugin.name}: it needs plugin interface {wanted}, and this kernel has {API_VERSION}",
                plugin.name,
            )

    def _check_hooks(self, plugin: Plugin) -> None:
        def wrong(what: str) -> PluginError:
            return PluginError(f"plugin {plugin.name}: {what}", plugin.name)

        callers = self.manager.get_hookcallers(plugin.module) or []
        if not callers and not plugin.trusted:
            raise wrong("it implements no hook")
        for caller in callers:
            if not caller.has_spec():
                close = difflib.get_close_matches(caller.name, self.hooks, 1)
                raise wrong(f"there is no hook {caller.name}" + (f"; did you mean {close[0]}?" if close else ""))
            for impl in caller.get_hookimpls():
                if impl.plugin is not plugin.module:
                    continue
                if inspect.iscoroutinefunction(impl.function) or inspect.isasyncgenfunction(impl.function):
                    raise wrong(f"{caller.name} is async; hooks are called once, at boot, synchronously")
                if impl.wrapper or impl.hookwrapper:
                    raise wrong(f"{caller.name} is a wrapper; hooks cannot be wrapped")
                if impl.tryfirst or impl.trylast:
                    raise wrong(f"{caller.name} asks for a place in the order of calls, which has none to give")
        for name in self.hooks:
            function = getattr(plugin.module, name, None)
            if inspect.isfunction(function) and not hasattr(function, "prefect_kernel_impl"):
                raise wrong(f"{name} lacks the decorator @hookimpl")

    # ------------------------------------------------------------ calling hooks
    def call(self, settings: Any, only: Sequence[str] | None = None) -> None:
        """Call every hook once (or `only` some), hook by hook in the order of their list, and keep what they return."""
        from ._internal.declarations import checked

        self.manager.check_pending()  # nothing passed `_check_hooks` that would be found here; twice is safer
        for hook in only or self.hooks:
            implementations = {impl.plugin_name: impl for impl in getattr(self.manager.hook, hook).get_hookimpls()}
            for plugin in list(self.loaded):
                impl = implementations.get(plugin.name)
                if impl is None:
                    continue
                try:
                    with self.blaming(plugin, f"{hook} failed"):
                        arguments = {"settings": settings}
                        returned = impl.function(*(arguments[name] for name in impl.argnames))
                        declared = checked(plugin.name, hook, returned)
                        if hook == "kernel_settings":
                            plugin.check_settings(declared)
                            settings.adopt(plugin.name, declared)
                    plugin.declared[hook] = declared
                except PluginError as error:
                    self._turn_down(plugin, error)
        self.check()

    def each(self, action: Callable[[Plugin], None]) -> None:
        """Do something with each plugin, in load order; one that a PluginError blames is turned down."""
        for plugin in list(self.loaded):
            try:
                action(plugin)
            except PluginError as error:
                self._turn_down(plugin, error)
        self.check()

    def blaming(self, plugin: Plugin, what: str) -> _Blaming:
        """Turn whatever is raised in the block into a PluginError, and end it when it takes too long."""
        return _Blaming(plugin, what, None if plugin.trusted else self._timeout)

    def _turn_down(self, plugin: Plugin, error: PluginError) -> None:
        plugin.declared = {}
        plugin.state, plugin.reason = FAILED if plugin.required else SKIPPED, error.message
        if self.manager.has_plugin(plugin.name):
            self.manager.unregister(name=plugin.name)
        if plugin.required:
            self.problems.append(error.message)
        else:
            cause = error.__cause__ if log.isEnabledFor(logging.DEBUG) else None
            log.warning("%s; the plugin is skipped", error.message, exc_info=cause)

    def blame(self, error: PluginError) -> None:
        """Skip the plugin whose fault an error is, or raise the error when the server must not start without it."""
        plugin = next((p for p in self.loaded if p.name == error.plugin), None)
        if plugin is None or plugin.required:
            raise error
        self._turn_down(plugin, error)

    # ------------------------------------------------------------ what there is
    @property
    def loaded(self) -> list[Plugin]:
        """The plugins that are part of the server, in load order."""
        return [plugin for plugin in self.known if plugin.state == LOADED]

    def __getitem__(self, name: str) -> Plugin:
        """The loaded plugin of that name."""
        return next(plugin for plugin in self.loaded if plugin.name == name)

    @property
    def trusted(self) -> set[str]:
        """Names of the built-ins."""
        return {plugin.name for plugin in self.known if plugin.trusted}

    def collect(self, hook: str) -> Iterator[tuple[str, Any]]:
        """(plugin, declaration) of everything that was declared through a hook, in load order."""
        for plugin in self.loaded:
            for item in plugin.declared.get(hook, ()):
                yield plugin.name, item


def _refusal(error: Exception) -> str:
    """What pluggy says of a hook with wrong arguments, in one sentence; of anything else its last line."""
    lines = str(error).strip().splitlines() or [repr(error)]
    hook = re.search(r"for hook '(\w+)'", lines[0])
    return f"{hook[1]}: {lines[-1]}" if hook else lines[-1]


class _Blaming:
    """See `Plugins.blaming`."""

    def __init__(self, plugin: Plugin, what: str, seconds: float | None) -> None:
        self._plugin, self._what, self._seconds = plugin, what, seconds
        self._limit = time_limit(seconds) if seconds is not None else None

    def __enter__(self) -> None:
        if self._limit is not None:
            self._limit.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if self._limit is not None:
            self._limit.__exit__(None, None, None)
        if error is None or isinstance(error, KeyboardInterrupt | SettingsError):
            return
        if isinstance(error, PluginError) and error.plugin is not None:
            return
        name = self._plugin.name
        said = f"it did not return within {self._seconds:g} seconds" if isinstance(error, TookTooLong) else told(error)
        raise PluginError(f"plugin {name}: {self._what}: {said}", name) from error


class _Disable:
    """The names that must not be loaded."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = set(names)

    def wants(self, *names: str) -> bool:
        """Whether one of these names of a plugin is among them."""
        return not self._names.isdisjoint(names)

    def check(self, known: list[Plugin]) -> None:
        """Raise SettingsError for names of no plugin."""
        names = {plugin.name for plugin in known}
        unknown = sorted(self._names - names - set(DEFAULT))
        if unknown:
            close = difflib.get_close_matches(unknown[0], sorted(names), 1)
            hint = f"; did you mean {close[0]}?" if close else "."
            raise SettingsError(f"There is no plugin named {unknown[0]} that could be disabled{hint}")


__all__ = ["DEFAULT", "ESSENTIAL", "Plugin", "Plugins"]
