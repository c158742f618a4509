"""The failure table: what misbehaves while the server boots, as a required plugin and as one that is installed."""

from __future__ import annotations

import inspect
import logging
import re
import threading
from types import ModuleType
from typing import Any

import pytest

from prefect_kernel import deprecated, hookspecs
from prefect_kernel._internal import finding
from prefect_kernel._internal.declarations import SHAPES, SINGLE
from prefect_kernel.errors import PluginError
from prefect_kernel.plugins import Plugins

from .support import Machine, state

HOOKS = [name for name in vars(hookspecs) if name.startswith("kernel_")]
SLOW = {"PREFECT_KERNEL_PLUGIN_TIMEOUT": "0.3"}

HEAD = "from prefect_kernel import hookimpl\nKERNEL_API = '>=1.0,<2'\n"

OFFERS = """
from click import Command
from prefect_kernel import FlowRule, Policy, Service, web
from prefect_kernel.settings import Setting

group = web.Group("half", prefix="/half")

@group.get("/")
async def look(request):
    return web.json(1)

class Never(Service):
    name = "never"
    async def tick(self): ...
    @classmethod
    def every(cls, settings): return 1

@hookimpl
def kernel_settings():
    return [Setting("PREFECT_KERNEL_HALF", int, 1, "Half.")]

@hookimpl
def kernel_routes(settings):
    return [group]

@hookimpl
def kernel_policies():
    return [Policy("half", "flow_run", [])]

@hookimpl
def kernel_services(settings):
    return [Never]
"""
"""Some honest declarations, none of which may be kept when another hook of the plugin fails."""


def hook(name: str, body: str, head: str = HEAD) -> str:
    """A plugin with one hook."""
    arguments = "settings" if "settings" in signature(name) else ""
    return f"{head}\n@hookimpl\ndef {name}({arguments}):\n    {body}\n"


def signature(name: str) -> str:
    """The arguments of a hook."""
    return str(inspect.signature(getattr(hookspecs, name)))


AT_LOAD = {
    "import raises": ("raise ValueError('no good')", "cannot be imported: ValueError: no good"),
    "import exits": ("import sys; sys.exit(3)", "cannot be imported: SystemExit: 3"),
    "import needs what is not there": ("import not_there_at_all", "cannot be imported: ModuleNotFoundError: No module"),
    "syntax": ("def :", "cannot be imported: SyntaxError"),
    "import hangs": ("import time; time.sleep(60)", "cannot be imported: it did not return within 0.3 seconds"),
    "import hangs and holds on": (
        "import time\nwhile True:\n    try: time.sleep(60)\n    except Exception: pass",
        "cannot be imported: it did not return within 0.3 seconds",
    ),
    "interface too new": (
        hook("kernel_clocks", "return []", "from prefect_kernel import hookimpl\nKERNEL_API = '>=2'"),
        "it needs plugin interface >=2, and this kernel has 1.0",
    ),
    "interface is no range": (
        hook("kernel_clocks", "return []", "from prefect_kernel import hookimpl\nKERNEL_API = 'new'"),
        "KERNEL_API is 'new', and not a version range",
    ),
    "interface is a number": (
        hook("kernel_clocks", "return []", "from prefect_kernel import hookimpl\nKERNEL_API = 1.0"),
        "KERNEL_API is 1.0, and not a version range",
    ),
    "misspelt hook": (
        HEAD + "@hookimpl\ndef kernel_rotes(settings):\n    return []\n",
        "there is no hook kernel_rotes; did you mean kernel_routes?",
    ),
    "unknown hook": (HEAD + "@hookimpl\ndef startup():\n    return []\n", "there is no hook startup$"),
    "async hook": (
        HEAD + "@hookimpl\nasync def kernel_clocks():\n    return []\n",
        "kernel_clocks is async; hooks are called once, at boot, synchronously",
    ),
    "async generator hook": (
        HEAD + "@hookimpl\nasync def kernel_clocks():\n    yield 1\n",
        "kernel_clocks is async; hooks are called once, at boot, synchronously",
    ),
    "unknown argument": (
        HEAD + "@hookimpl\ndef kernel_routes(app):\n    return []\n",
        "kernel_routes.*app.*can not be found in the hookspec",
    ),
    "wrapper": (
        HEAD + "@hookimpl(wrapper=True)\ndef kernel_clocks():\n    return (yield)\n",
        "kernel_clocks is a wrapper; hooks cannot be wrapped",
    ),
    "tryfirst": (
        HEAD + "@hookimpl(tryfirst=True)\ndef kernel_clocks():\n    return []\n",
        "kernel_clocks asks for a place in the order of calls",
    ),
    "no hookimpl": (
        HEAD + "@hookimpl\ndef kernel_clocks():\n    return []\ndef kernel_routes(settings):\n    return []\n",
        "kernel_routes lacks the decorator @hookimpl",
    ),
    "no hook": ("KERNEL_API = '>=1.0'", "it implements no hook"),
}

MISDEEDS = {
    "raises": ("raise ValueError('no')", "failed: ValueError: no"),
    "exits": ("raise SystemExit(3)", "failed: SystemExit: 3"),
    "hangs": ("import time; time.sleep(60)", "failed: it did not return within 0.3 s"),
    "raises lines": ("raise ValueError('one\\n\\n  two')", "failed: ValueError: one two"),
    "raises what cannot be shown": (
        "raise type('Dumb', (Exception,), {'__str__': lambda self: 1 / 0})",
        "failed: Dumb$",
    ),
    "yields and raises": ("yield from ()\n    raise ValueError", "failed: ValueError"),
    "returns a word": ("return 'junk'", "returned 'junk', "),
    "returns a number": ("return 7", "returned 7, "),
    "returns odd items": ("return [7]", "returned .*7.*, which is not {shape}"),
    "returns odd items without end": (
        "import itertools\n    return itertools.count(7)",
        "returned .*7.*, which is not {shape}",
    ),
    "returns a coroutine": (
        "async def later(): ...\n    return later()",
        "returned an awaitable; hooks are synchronous",
    ),
}
"""What any hook may do wrong: its body, and what is said after its name."""

AT_CALL = {
    f"{name} {what}": (hook(name, body), f"{name} {said.format(shape=SHAPES[name][0])}")
    for what, (body, said) in MISDEEDS.items()
    for name in HOOKS
    if not (what == "yields and raises" and name in SINGLE)
}

ODD = {
    "authenticator is a class": ("kernel_authenticators", "[Way]"),
    "authenticator is not async": ("kernel_authenticators", "[Plain()]"),
    "service is not async": ("kernel_services", "[Still]"),
    "policy of neither kind of run": ("kernel_policies", "[Policy('acme', 'flow', [])]"),
    "policy without rules": ("kernel_policies", "[Policy('acme', 'flow_run', None)]"),
    "policy without a name": ("kernel_policies", "[Policy(None, 'flow_run', [])]"),
    "edit of a policy that is no name": ("kernel_policy_edits", "[Remove('CopyScheduledTime', ['core-flow'])]"),
    "edit next to what is no name": ("kernel_policy_edits", "[Insert(FlowRule, 'core-flow', after=FlowRule)]"),
}
"""What is nearly right: hook and what it returns."""

NEARLY = """
from prefect_kernel import FlowRule, Insert, Policy, Remove, Service
class Way:
    name = "acme"
    async def request(self, request): ...
    async def socket(self, socket, token): ...
class Plain:
    name = "acme"
    def request(self, request): ...
    def socket(self, socket, token): ...
class Still(Service):
    name = "acme"
    def tick(self): ...
    @classmethod
    def every(cls, settings): return 1
"""

AT_CALL |= {
    case: (hook(name, f"return {declared}", HEAD + NEARLY), f"{name} returned .*, which is not {SHAPES[name][0]}$")
    for case, (name, declared) in ODD.items()
}

AT_CALL |= {
    "setting with a name of Prefect's": (
        hook(
            "kernel_settings",
            "return [Setting('PREFECT_ACME_DAYS', int, 1, 'Days.')]",
            HEAD + "from prefect_kernel.settings import Setting\n",
        ),
        "PREFECT_ACME_DAYS looks like a setting of Prefect; begin with PREFECT_KERNEL_, or not with PREFECT_",
    ),
    "migration in one dialect": (
        hook(
            "kernel_migrations",
            "return MigrationSet('a', [Migration('1', {'sqlite': []})])",
            HEAD + "from prefect_kernel.migrations import Migration, MigrationSet\n",
        ),
        "kernel_migrations failed: migration '1' has no statements for postgresql",
    ),
    "middleware that cannot be put around": (
        hook(
            "kernel_middleware",
            "return [web.Around(lambda endpoint: 1 / 0)]",
            HEAD + "from prefect_kernel import web\n",
        ),
        "its middleware cannot be put around endpoints: ZeroDivisionError",
    ),
    "middleware that gives no handler": (
        hook("kernel_middleware", "return [web.Around(lambda endpoint: 7)]", HEAD + "from prefect_kernel import web\n"),
        "its middleware cannot be put around endpoints: TypeError: 7 is no handler",
    ),
}

STAGES = AT_LOAD | AT_CALL


def test_every_hook_has_a_shape() -> None:
    """The check of what hooks return knows each hook, so that none of the cases here is forgotten for a new one."""
    assert set(SHAPES) == set(HOOKS)


@pytest.mark.parametrize("case", STAGES)
def test_required(machine: Machine, case: str) -> None:
    """A required plugin that fails keeps the server from starting, with one sentence that names it."""
    source, said = STAGES[case]
    name = machine.module(source)
    with pytest.raises(PluginError, match=rf"(?s)\Aplugin {name}: .*{said}") as caught:
        machine.boot(PREFECT_KERNEL_PLUGINS=name, PREFECT_KERNEL_NO_AUTOLOAD="1", **SLOW)
    assert len(caught.value.message.splitlines()) == 1


@pytest.mark.parametrize("case", STAGES)
def test_installed(machine: Machine, case: str, caplog: pytest.LogCaptureFixture) -> None:
    """An installed plugin that fails is skipped as a whole, logged once, and shown with its reason."""
    source, said = STAGES[case]
    name = machine.install(source)
    with caplog.at_level(logging.WARNING, "prefect_kernel.plugins"):
        kernel = machine.boot(**SLOW)
    what, why = state(kernel.plugins, name)
    assert what == "skipped"
    assert re.search(said, why, re.DOTALL)
    assert [name in message for message in caplog.messages] == [True]
    assert {"name": name, "version": "1.2.3", "state": "skipped", "reason": why} in kernel.health()["plugins"]
    assert kernel.health()["status"] == "degraded"


@pytest.mark.parametrize("failing", [name for name in HOOKS if name not in OFFERS])
def test_nothing_that_it_offered_is_kept(machine: Machine, failing: str) -> None:
    """Whichever hook fails, early or late, nothing is left of what the others of the same plugin returned."""
    name = machine.install(hook(failing, "raise ValueError") + OFFERS)
    kernel = machine.boot()
    assert state(kernel.plugins, name)[0] == "skipped"
    assert "half" not in kernel.policies
    assert "half" not in [group.name for group in kernel.groups]
    assert [plugin for hook in HOOKS for plugin, _ in kernel.plugins.collect(hook) if plugin == name] == []
    assert kernel.dispatcher.endpoints.match("/api/half/") is None


def test_what_it_offers_when_nothing_fails(machine: Machine) -> None:
    """The same declarations are all there when no hook fails, so the test before this one proves something."""
    name = machine.install(HEAD + OFFERS)
    kernel = machine.boot()
    assert "half" in kernel.policies
    assert kernel.settings.plugin["PREFECT_KERNEL_HALF"] == 1
    assert kernel.dispatcher.endpoints.match("/api/half/") is not None
    assert [plugin for plugin, _ in kernel.plugins.collect("kernel_services")][-1] == name


def test_one_sentence_per_plugin(machine: Machine) -> None:
    """Several required plugins that fail are all named, each in a sentence."""
    one, two = machine.module("raise ValueError('one')"), machine.module("raise ValueError('two')")
    with pytest.raises(PluginError) as caught:
        machine.boot(PREFECT_KERNEL_PLUGINS=f"{one},{two}")
    assert caught.value.message.splitlines() == [
        f"plugin {one}: cannot be imported: ValueError: one",
        f"plugin {two}: cannot be imported: ValueError: two",
    ]


def test_a_missing_interface_version_is_a_note(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """A plugin that does not say which interface it needs is loaded, and the log says that it should."""
    name = machine.install(hook("kernel_clocks", "return []", "from prefect_kernel import hookimpl"))
    with caplog.at_level(logging.WARNING, "prefect_kernel.plugins"):
        kernel = machine.boot()
    assert state(kernel.plugins, name) == ("loaded", "")
    assert [m for m in caplog.messages if name in m and 'KERNEL_API = ">=1.0"' in m]


def test_a_deprecated_hook_warns(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook that is scheduled to go says so to a plugin that implements it, and still works."""
    warning = deprecated.KernelDeprecationWarning("kernel_old goes with 2.0; use kernel_new.")
    monkeypatch.setitem(deprecated.HOOKS, "kernel_old", warning)

    def kernel_old() -> Any:
        """A hook of the past."""

    specs = ModuleType("specs")
    specs.kernel_old = hookspecs.hookspec(kernel_old)  # type: ignore[attr-defined]
    plugins = Plugins(specs=specs)
    name = machine.module(HEAD + "@hookimpl\ndef kernel_old():\n    return [1]\n")
    plugins.load(finding.named(name), "named")
    (plugin,) = plugins.loaded
    assert plugin.notes == ["kernel_old goes with 2.0; use kernel_new."]


def test_limits_need_the_main_thread(machine: Machine) -> None:
    """In another thread there is no alarm, so hooks run without a limit there, and otherwise alike."""
    name = machine.install(hook("kernel_clocks", "return []"))
    found: list[tuple[str, str]] = []
    thread = threading.Thread(target=lambda: found.append(state(machine.boot(**SLOW).plugins, name)))
    thread.start()
    thread.join(60)
    assert found == [("loaded", "")]
