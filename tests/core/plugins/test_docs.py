"""The documentation of plugins says what is so."""

from __future__ import annotations

import ast
import inspect
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from prefect_kernel import hookspecs
from prefect_kernel.cli import cli
from prefect_kernel.testing import contracts

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "plugins"
HOOKS = [name for name in vars(hookspecs) if name.startswith("kernel_")]
PAGES = sorted(path.name for path in DOCS.glob("*.md"))


def signature(name: str) -> str:
    """A hook as it is declared."""
    return f"{name}{inspect.signature(getattr(hookspecs, name))}".replace("'", "")


def test_every_hook_is_documented_in_order() -> None:
    """Each hook has a heading with its exact signature, in the order in which hooks are called."""
    headings = re.findall(r"^### `(kernel_.*)`$", (DOCS / "hooks.md").read_text(), re.MULTILINE)
    assert headings == [signature(name) for name in HOOKS]


def test_every_hook_says_what_it_does() -> None:
    """Each hook has a docstring, and names of its arguments and of what it returns."""
    for name in HOOKS:
        function = getattr(hookspecs, name)
        assert function.__doc__
        assert "return" in function.__annotations__


def test_the_picture_has_every_hook_in_order() -> None:
    """The picture of the boot shows all hooks in their order."""
    picture = re.search(r"```\n(.*?)```", (DOCS / "hooks.md").read_text(), re.DOTALL)
    assert picture is not None
    assert re.findall(r"kernel_\w+", picture[1]) == HOOKS


@pytest.mark.parametrize("page", PAGES)
def test_samples_are_cut_from_tested_files(page: str) -> None:
    """A sample that says where it is from is there, word for word."""
    text = (DOCS / page).read_text()
    for source, sample in re.findall(r"<!-- from (\S+) -->\n```\w+\n(.*?)```", text, re.DOTALL):
        assert sample in (ROOT / source).read_text(), f"{page}: {sample[:60]!r} is not in {source}"


@pytest.mark.parametrize("page", PAGES)
def test_samples_of_python_are_python(page: str) -> None:
    """Every sample of Python can be parsed."""
    for sample in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL):
        ast.parse(sample)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Links to files are links to files that exist."""
    for target in re.findall(r"\]\(([^)#:]+)\)", (DOCS / page).read_text()):
        assert (DOCS / target).exists(), target


def test_the_first_sample_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin that the first page begins with does what it says, as a file."""
    sample = re.search(r"```python\n(.*?)```", (DOCS / "README.md").read_text(), re.DOTALL)
    assert sample is not None
    (tmp_path / "no_fridays.py").write_text(sample[1])
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(cli, ["policies", "core-flow", "--plugins", "./no_fridays.py", "--no-autoload"])
    assert shown.exit_code == 0, shown.exception
    lines = [line.split()[1:3] for line in shown.output.splitlines()]
    assert lines[lines.index(["CopyScheduledTime", "policies"]) + 1] == ["NoFridays", "no_fridays"]


def test_every_contract_is_named() -> None:
    """The page on testing names every contract there is."""
    text = (DOCS / "testing.md").read_text()
    assert [name for name in contracts.__all__ if f"`{name}`" not in text] == []
