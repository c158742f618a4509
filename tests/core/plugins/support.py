"""Distributions with plugins, as pip would leave them, and kernels that are made but not opened."""

from __future__ import annotations

import itertools
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from prefect_kernel import hookimpl
from prefect_kernel.app import Kernel
from prefect_kernel.plugins import Plugins
from prefect_kernel.settings import Settings, load

QUICK = {"PREFECT_KERNEL_PLUGIN_TIMEOUT": 0.2}
"""Settings with which what hangs is given up soon."""

_numbers = itertools.count()


class Machine:
    """A place to install plugins in."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        directory.mkdir()
        monkeypatch.syspath_prepend(directory)

    def module(self, source: str, name: str = "") -> str:
        """Write a module with a name of its own, and give that name."""
        name = name or f"acme_{next(_numbers)}"
        (self.directory / f"{name}.py").write_text(dedent(source))
        return name

    def install(self, source: str, *, entry: str = "", version: str = "1.2.3", module: str = "") -> str:
        """Install a distribution with a plugin; gives the name of its entry point."""
        module = self.module(source, module)
        entry = entry or module
        info = self.directory / f"{module}_dist-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}-dist\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[prefect_kernel]\n{entry} = {module}\n")
        return entry

    def settings(self, **variables: str) -> Settings:
        """Settings from these environment variables alone."""
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        return load(environ={"PREFECT_HOME": str(home), **variables}, cwd=home)

    def plugins(self, *given: Any, **variables: str) -> Plugins:
        """The plugins that a server with these variables finds."""
        return Plugins.of(self.settings(**variables), *given)

    def boot(self, *given: Any, **variables: str) -> Kernel:
        """A kernel with these plugins, not opened."""
        settings = self.settings(**variables)
        return Kernel(settings, Plugins.of(settings, *given))


def state(plugins: Plugins, name: str) -> tuple[str, str]:
    """What became of a plugin, and why."""
    (found,) = (plugin for plugin in plugins.known if plugin.name == name)
    return found.state, found.reason


def plugin(**hooks: Any) -> Any:
    """A plugin named acme with these hooks, each given by what it returns."""
    body: dict[str, Any] = {"__name__": "acme"}
    for name, declared in hooks.items():
        body[f"kernel_{name}"] = staticmethod(hookimpl(_returning(declared), specname=f"kernel_{name}"))
    return type("acme", (), body)()


def _returning(declared: Any) -> Any:
    def hook() -> Any:
        return declared

    return hook


def said(caplog: pytest.LogCaptureFixture, *words: str) -> bool:
    """Whether one record of the log has all these words, in its message or the error that it shows."""
    texts = [f"{record.getMessage()} {record.exc_info and record.exc_info[1]!r}" for record in caplog.records]
    return any(all(word in text for word in words) for text in texts)
