"""The README's commands are the ones that are run."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def commands() -> list[str]:
    """The indented one-line commands of the README's section about them."""
    section = (ROOT / "README.md").read_text().split("## Commands\n", 1)[1].split("\n## ", 1)[0]
    return [line.strip() for line in section.splitlines() if line.startswith("    ")]


def test_ci_runs_the_readmes_test_command() -> None:
    """`.ci/run` ends with the README's command for all tests, word for word."""
    [_, test_command] = commands()
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == test_command


def test_the_readmes_first_command_serves_on_defaults() -> None:
    """The README's first command is one line that installs the checkout and serves, without an option."""
    [serve_command, _] = commands()
    assert "pip install ." in serve_command
    assert serve_command.endswith("prefect-kernel serve")
