"""Whatever goes wrong is one clear sentence on stderr and a non-zero exit code, and never a traceback."""

from __future__ import annotations

import socket
from pathlib import Path

import click
import pytest

from prefect_kernel.cli import cli

from .conftest import Run

WRONG: dict[str, tuple[list[str], dict[str, str], str]] = {
    "bad value": (["serve"], {"PREFECT_SERVER_API_PORT": "many"}, "PREFECT_SERVER_API_PORT"),
    "unknown name": (["serve"], {"PREFECT_KERNEL_SEVER": "x"}, "did you mean PREFECT_KERNEL_SERVER"),
    "unknown plugin": (
        ["serve", "--plugins", "nowhere_to_be_found"],
        {},
        "plugin nowhere_to_be_found: there is neither",
    ),
    "essential plugin": (["serve", "--disable", "root"], {}, "Plugin root cannot be disabled"),
    "unknown server": (["serve", "--server", "apache"], {}, "There is no server named 'apache'; known: "),
    "unknown leases": (
        ["serve"],
        {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "etcd"},
        "There is no lease storage named 'etcd'; known: database, filesystem, memory, redis.",
    ),
    "unknown broker": (
        ["serve"],
        {"PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "pigeon"},
        "There is no broker named 'pigeon'; known: memory, postgres, redis.",
    ),
    "unknown database": (["database", "check"], {"PREFECT_SERVER_DATABASE_CONNECTION_URL": "mysql://x/y"}, "mysql"),
    "no database": (["database", "check"], {}, "run `prefect-kernel database upgrade` first"),
    "nobody there": (
        ["database", "check"],
        {"PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://u:hush@127.0.0.1:1/x"},
        "The database postgresql+asyncpg://u:***@127.0.0.1:1/x cannot be used: ConnectionRefusedError",
    ),
    "port in a URL": (
        ["database", "check"],
        {"PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://u:hush@127.0.0.1:abc/x"},
        "The port in the URL of the database is no number between 0 and 65535.",
    ),
    "port in a URL's query": (
        ["serve"],
        {"PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://u:hush@/x?port=abc"},
        "The port in the URL of the database is no number between 0 and 65535.",
    ),
    "host": (["serve", "--host", "no.such.host.invalid"], {}, "Cannot listen on 'no.such.host.invalid'"),
    "workers on SQLite": (["serve", "--workers", "2"], {}, "Several workers on sqlite are slower than one"),
    "broker in memory with workers": (
        ["serve", "--workers", "2"],
        {
            "PREFECT_MESSAGING_BROKER": "prefect.server.utilities.messaging.memory",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://u:hush@127.0.0.1:1/x",
        },
        "Several workers hear nothing of each other in memory: set PREFECT_SERVER_EVENTS_MESSAGING_BROKER to one of",
    ),
    "postgres broker on SQLite": (
        ["serve"],
        {"PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "postgres"},
        "The broker postgres needs a PostgreSQL database",
    ),
    "no Redis address": (
        ["serve"],
        {"PREFECT_MESSAGING_BROKER": "redis", "PREFECT_REDIS_MESSAGING_URL": "http://x"},
        "PREFECT_REDIS_MESSAGING_URL must begin with redis://, rediss:// or unix://",
    ),
    "leases in memory with workers": (
        ["serve", "--workers", "2"],
        {
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "memory",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://u:hush@127.0.0.1:1/x",
        },
        "Several workers cannot share leases in memory: set PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE to one of",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_sentence(run: Run, case: str) -> None:
    """The sentence says what is wrong, and nothing else is printed."""
    arguments, variables, said = WRONG[case]
    ran = run(*arguments, PREFECT_KERNEL_NO_AUTOLOAD="1", **variables)
    assert ran.code == 1
    assert said in ran.err
    assert [line for line in ran.err.splitlines() if not line.startswith("Error: ")] == []
    assert len(ran.err.splitlines()) == 1
    assert "hush" not in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    "arguments",
    [["serv"], ["serve", "--port", "many"], ["serve", "--port", "65536"], ["serve", "--workers", "0"], ["database"]],
)
def test_wrong_usage(run: Run, arguments: list[str]) -> None:
    """Wrong usage is exit code 2, as everywhere, with a hint at the help."""
    ran = run(*arguments)
    assert ran.code == 2
    assert "--help" in ran.err or "Usage" in ran.err


def test_several_sentences(run: Run) -> None:
    """Each problem has a line of its own."""
    ran = run("serve", PREFECT_SERVER_API_PORT="many", PREFECT_SERVER_LOGGING_LEVEL="LOUD")
    assert ran.code == 1
    assert [line.startswith("Error: ") for line in ran.err.splitlines()] == [True, True]


def test_a_taken_port(run: Run) -> None:
    """A port that somebody else listens on is named, with what can be done."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run("serve", "--port", str(port), PREFECT_KERNEL_NO_AUTOLOAD="1")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"Error: Port {port} on 127.0.0.1 is already in use")


def test_a_file_that_is_no_database(run: Run, tmp_path: Path) -> None:
    """A file that is something else is left as it is."""
    file = tmp_path / "notes.txt"
    file.write_text("My notes.\n" * 1000)
    ran = run(
        "serve", PREFECT_SERVER_DATABASE_CONNECTION_URL=f"sqlite+aiosqlite:///{file}", PREFECT_KERNEL_NO_AUTOLOAD="1"
    )
    assert ran.code == 1
    assert str(file) in ran.err
    assert len(ran.err.splitlines()) == 1
    assert file.read_text() == "My notes.\n" * 1000


def test_what_nobody_has_thought_of(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error is a sentence, too; PREFECT_DEBUG_MODE gives its traceback to who asks for it."""

    @click.command("odd")
    def odd() -> None:
        raise ValueError("no good")

    monkeypatch.setitem(cli.commands, "odd", odd)
    ran = run("odd")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "Error: ValueError: no good (PREFECT_DEBUG_MODE=1 shows where this comes from.)\n"
    with pytest.raises(ValueError, match="no good"):
        run("odd", PREFECT_DEBUG_MODE="1")


def test_help_comes_in_spite_of_a_broken_plugin(run: Run) -> None:
    """Help is shown when plugins cannot be loaded, with a warning."""
    ran = run("--help", PREFECT_KERNEL_PLUGINS="nowhere_to_be_found")
    assert ran.code == 0
    assert "Run the server" in ran.out
    assert ran.err.startswith("Warning: plugin nowhere_to_be_found")
