"""Which plugins are loaded, from where, in which order."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from prefect_kernel.builtin import DEFAULT, ESSENTIAL
from prefect_kernel.errors import PluginError, SettingsError
from prefect_kernel.plugins import Plugins

from .support import Machine, state

PLUGIN = """
from prefect_kernel import hookimpl

KERNEL_API = ">=1.0,<2"

@hookimpl
def kernel_policy_edits(settings):
    return []
"""


def names(plugins: Plugins, origin: str = "") -> list[str]:
    """Names of the loaded plugins of one origin, or of all, in load order."""
    return [plugin.name for plugin in plugins.loaded if origin in ("", plugin.origin)]


def test_built_ins(machine: Machine) -> None:
    """Without being told anything, all built-ins are loaded, the essential ones first."""
    plugins = machine.plugins(PREFECT_KERNEL_NO_AUTOLOAD="true")
    assert names(plugins) == [path.rsplit(".", 1)[-1] for path in ESSENTIAL + DEFAULT]
    assert plugins.problems == []


def test_load_order(machine: Machine) -> None:
    """Built-ins come first, then what `--plugins` names as written, then installed ones by name."""
    z, y = machine.module(PLUGIN, "zebra"), machine.module(PLUGIN, "yak")
    machine.install(PLUGIN, entry="bee", module="bee_module")
    machine.install(PLUGIN, entry="ant", module="ant_module")
    plugins = machine.plugins(PREFECT_KERNEL_PLUGINS=f"{z},{y}")
    assert names(plugins)[len(ESSENTIAL + DEFAULT) :] == ["zebra", "yak", "ant", "bee"]
    assert names(plugins, "named") == ["zebra", "yak"]
    assert names(plugins, "installed") == ["ant", "bee"]


def test_by_entry_point(machine: Machine) -> None:
    """A name is first looked for among entry points, and is then required; its version is the distribution's."""
    machine.install(PLUGIN, entry="freeze", version="4.5.6")
    plugins = machine.plugins(PREFECT_KERNEL_PLUGINS="freeze")
    (freeze,) = [plugin for plugin in plugins.loaded if plugin.name == "freeze"]
    assert (freeze.origin, freeze.version, freeze.required) == ("named", "4.5.6", True)


def test_by_import_path(machine: Machine) -> None:
    """A name that is no entry point is an import path, of a module or of an object in one."""
    machine.module(PLUGIN + "\n__version__ = '9'\n", "by_path")
    machine.module("import by_path as inner", "around")
    plugins = machine.plugins(PREFECT_KERNEL_PLUGINS="by_path,around:inner")
    assert [(p.name, p.version) for p in plugins.loaded if p.origin == "named"] == [("by_path", "9")]
    assert plugins.problems == [], "one plugin by two names is one plugin"


def test_by_file(machine: Machine, tmp_path: Path) -> None:
    """A name with a slash, or that ends in .py, is a file."""
    file = tmp_path / "hold-starts.py"
    file.write_text(PLUGIN)
    plugins = machine.plugins(PREFECT_KERNEL_PLUGINS=str(file))
    assert names(plugins, "named") == ["hold-starts"]


def test_by_entry_point_and_import_path(machine: Machine) -> None:
    """A plugin that is named by its import path and installed too is loaded once, as a required one."""
    machine.install(PLUGIN, entry="freeze", module="freeze_module")
    plugins = machine.plugins(PREFECT_KERNEL_PLUGINS="freeze_module")
    assert [(p.name, p.origin) for p in plugins.loaded if not p.trusted] == [("freeze_module", "named")]


def test_no_autoload(machine: Machine) -> None:
    """With --no-autoload an installed plugin is loaded only if it is named."""
    machine.install(PLUGIN, entry="bee")
    machine.install(PLUGIN, entry="ant")
    plugins = machine.plugins(PREFECT_KERNEL_NO_AUTOLOAD="1", PREFECT_KERNEL_PLUGINS="bee")
    assert [plugin.name for plugin in plugins.known if not plugin.trusted] == ["bee"]


def test_disable(machine: Machine) -> None:
    """A disabled plugin is not even imported, whether it is built in, by either of its names, or installed."""
    machine.install("raise SystemExit('imported')", entry="bee", module="never_imported")
    plugins = machine.plugins(PREFECT_KERNEL_DISABLE="bee, logs,prefect_kernel_plugins.task_workers")
    assert state(plugins, "bee") == state(plugins, "logs") == state(plugins, "task_workers") == ("disabled", "")
    assert not {"bee", "logs", "task_workers"}.intersection(names(plugins))
    assert "never_imported" not in sys.modules


@pytest.mark.parametrize("name", [path.rsplit(".", 1)[-1] for path in ESSENTIAL])
def test_essential_plugins_cannot_be_disabled(machine: Machine, name: str) -> None:
    """Disabling one of the essential few is an error that says so."""
    with pytest.raises(SettingsError, match=f"^Plugin {name} cannot be disabled: the server needs it.$"):
        machine.plugins(PREFECT_KERNEL_DISABLE=name)


def test_disabling_what_is_not_there(machine: Machine) -> None:
    """A name of no plugin to disable is an error, with the closest name."""
    with pytest.raises(SettingsError, match=r"no plugin named lgos that could .*; did you mean logs"):
        machine.plugins(PREFECT_KERNEL_DISABLE="lgos")


def test_wanted_and_disabled(machine: Machine) -> None:
    """A plugin cannot be both wanted and disabled."""
    machine.install(PLUGIN, entry="bee")
    with pytest.raises(SettingsError, match="Plugin bee is both wanted and disabled"):
        machine.plugins(PREFECT_KERNEL_PLUGINS="bee", PREFECT_KERNEL_DISABLE="bee")


def test_a_built_in_may_be_named(machine: Machine) -> None:
    """Naming a built-in changes nothing."""
    plugins = machine.plugins(PREFECT_KERNEL_PLUGINS="flows,prefect_kernel_plugins.logs")
    assert names(plugins, "named") == []
    assert names(plugins).count("flows") == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module", "plugin no_such_module: there is neither an installed plugin nor a module of that name"),
        ("os.no_such", "plugin os.no_such: there is neither an installed plugin nor a module of that name"),
        ("not a name", "plugin not a name: this is neither an installed plugin, nor an import path, nor a file"),
        ("./no/file.py", "plugin no/file.py: there is no such file"),
    ],
)
def test_what_cannot_be_found(machine: Machine, name: str, message: str) -> None:
    """A name that leads nowhere is one sentence, and keeps the server from starting."""
    plugins = machine.plugins(PREFECT_KERNEL_PLUGINS=name)
    assert plugins.problems == [message]
    with pytest.raises(PluginError, match=r"^plugin "):
        plugins.check()


def test_two_plugins_of_one_name(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """Of two installed plugins with one entry point's name the second is skipped, and of a built-in's name, too."""
    machine.install(PLUGIN, entry="bee", module="a_bee")
    machine.install(PLUGIN, entry="bee", module="b_bee")
    machine.install(PLUGIN, entry="flows")
    with caplog.at_level(logging.WARNING, "prefect_kernel.plugins"):
        plugins = machine.plugins()
    bees = [(plugin.where, plugin.state) for plugin in plugins.known if plugin.name == "bee"]
    assert bees == [("a_bee", "loaded"), ("b_bee", "skipped")]
    assert names(plugins).count("flows") == 1
    assert "plugin flows: there is a plugin of that name already; the plugin is skipped" in caplog.messages


def test_a_manager_per_kernel(machine: Machine) -> None:
    """Two kernels in one process have nothing to do with each other's plugins."""
    name = machine.module(PLUGIN)
    assert name in names(machine.plugins(PREFECT_KERNEL_PLUGINS=name))
    assert name not in names(machine.plugins())
