"""What is said about values and names that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_kernel.errors import SettingsError
from prefect_kernel.settings import load

HOME = {"HOME": "/home/somebody"}


def refusal(environ: dict[str, str], directory: Path) -> str:
    """What is said about an environment."""
    with pytest.raises(SettingsError) as caught:
        load({**HOME, **environ}, directory).check_names()
    return caught.value.message


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PREFECT_SERVER_API_PORT", "abc", "must be a whole number"),
        ("PREFECT_API_DATABASE_ECHO", "maybe", "must be true or false"),
        ("PREFECT_KERNEL_SQLITE_SYNCHRONOUS", "off", "must be one of normal, full"),
        ("PREFECT_SERVER_EVENTS_RETENTION_PERIOD", "soon", "must be a duration, as in PT5M or 00:05:00"),
        (
            "PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION",
            "1",
            "must be a number, at least 30 and at most 3600",
        ),
        (
            "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD",
            "5",
            "must be a duration, as in PT5M or 00:05:00, greater than 3600 seconds",
        ),
        (
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED",
            "logs",
            "there is no 'logs'; known are events, flow_runs, orphans",
        ),
        ("PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES", "5 days", "must be JSON"),
        (
            "PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES",
            '{"a": 0}',
            "the period for 'a' must be greater than 0",
        ),
        ("PREFECT_SERVER_API_BASE_PATH", "api", "must be a path that begins with a slash, such as /prefect/api"),
        ("PREFECT_SERVER_API_BASE_PATH", "/", "must be a path that begins with a slash, such as /prefect/api"),
        ("PREFECT_TASKS_DEFAULT_RETRIES", "-1", "must be a whole number, at least 0"),
    ],
)
def test_a_bad_value_is_one_sentence(name: str, value: str, allowed: str, tmp_path: Path) -> None:
    """The sentence names the variable, its source and what is allowed; values of clients are checked as well."""
    found = {"a": 0} if value.startswith("{") else value
    assert refusal({name: value}, tmp_path) == f"{name} = {found!r} (from environment) is not allowed: {allowed}."


def test_a_group_must_be_a_json_object(tmp_path: Path) -> None:
    """The name of a group takes all its settings at once, and nothing else."""
    message = refusal({"PREFECT_SERVER_API": "4200"}, tmp_path)
    assert message == "PREFECT_SERVER_API (from environment) must be a JSON object of the settings in its group."


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """Bad values and unknown names of all sources are told together, one line each."""
    (tmp_path / "prefect.toml").write_text("[server.api]\nhots = 'x'\nport = 'y'\n", encoding="utf-8")
    environ = {"PREFECT_SERVER_UI_ENABLED": "maybe", "PREFECT_CLIENT_MAX_RETRIES": "-1"}
    assert refusal(environ, tmp_path).split("\n") == [
        "server.api.port = 'y' (from prefect.toml) is not allowed: must be a whole number.",
        "PREFECT_SERVER_UI_ENABLED = 'maybe' (from environment) is not allowed: must be true or false.",
        "PREFECT_CLIENT_MAX_RETRIES = '-1' (from environment) is not allowed: must be a whole number, at least 0.",
        "server.api.hots (from prefect.toml) is not a setting of Prefect or the kernel; did you mean server.api.host?",
    ]


def test_a_bad_secret_is_not_repeated(tmp_path: Path) -> None:
    """A value that is secret is not shown even when it is wrong."""
    (tmp_path / "prefect.toml").write_text("[server.api]\nauth_string = 1234\n", encoding="utf-8")
    message = refusal({}, tmp_path)
    assert message == "server.api.auth_string (from prefect.toml) is not allowed: must be text."


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PREFECT_SERVER_API_PROT", "PREFECT_SERVER_API_PORT"),
        ("PREFECT_SERVER_SERVICES_SHEDULER_ENABLED", "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED"),
        ("PREFECT_KERNEL_PLUGIN", "PREFECT_KERNEL_PLUGINS"),
        ("PREFECT_API_DATABSE_CONECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL"),
        ("PREFECT_APIURL", "PREFECT_API_URL"),
        ("PREFECT_CLIENT_MAX_RETRYS", "PREFECT_CLIENT_MAX_RETRIES"),
    ],
)
def test_a_slip_is_told_with_what_was_meant(name: str, meant: str, tmp_path: Path) -> None:
    """A name that is nearly a known one would be ignored silently; it is refused, and the known one is named."""
    message = refusal({name: "x"}, tmp_path)
    assert message.startswith(f"{name} (from environment) is not a setting")
    assert message.endswith(f"did you mean {meant}?")


@pytest.mark.parametrize("name", ["PREFECT_SERVER_WIBBLE", "PREFECT_KERNEL_WIBBLE"])
def test_unknown_names_of_the_server_are_refused(name: str, tmp_path: Path) -> None:
    """Everything that begins as the server's own names do must be one of them."""
    assert refusal({name: "x"}, tmp_path).startswith(f"{name} (from environment) is not a setting")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PREFECT_INTEGRATIONS_KUBERNETES_WATCH", "x"),
        ("PREFECT_PROFILE", "ephemeral"),
        ("PREFECT_SERVER_ENCRYPTION_KEY", "x"),
        ("PREFECT__FLOW_RUN_ID", "x"),
        ("PREFECT_SERVER_SERVICE_HOST", "10.0.0.1"),
        ("PREFECT_SERVER_SERVICE_PORT_SERVER_SVC_PORT", "4200"),
        ("PREFECT_SERVER_PORT", "tcp://10.0.0.1:4200"),
        ("PREFECT_SERVER_PORT_4200_TCP_ADDR", "10.0.0.1"),
        ("PREFECT_KERNEL_PORT", "tcp://10.0.0.1:4200"),
        ("PREFECT_CLIENT_MAX_RETRIES", "3"),
        ("PREFECT_LOGGING_LEVEL", "DEBUG"),
    ],
)
def test_names_that_others_need_are_left_alone(name: str, value: str, tmp_path: Path) -> None:
    """Names of clients, integrations and of Kubernetes' Services share the environment with the server's."""
    load({**HOME, name: value}, tmp_path).check_names()


@pytest.mark.parametrize("name", ["prefect.toml", "pyproject.toml", "profiles.toml"])
def test_a_broken_file_is_named(name: str, tmp_path: Path) -> None:
    """A file that is no TOML ends the start with its path and the place in it."""
    (tmp_path / name).write_text("[server\n", encoding="utf-8")
    message = refusal({"PREFECT_HOME": str(tmp_path)}, tmp_path)
    assert message.startswith(f"{tmp_path / name} is not valid TOML: ")
    assert "line 1" in message


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 end the start with the file's path."""
    (tmp_path / ".env").write_bytes(b"A=\xff\n")
    assert refusal({}, tmp_path).startswith(f"{tmp_path / '.env'} cannot be read: ")


def test_a_database_without_its_parts_says_which(tmp_path: Path) -> None:
    """The names of the missing settings are told."""
    message = refusal({"PREFECT_SERVER_DATABASE_DRIVER": "postgresql+asyncpg"}, tmp_path)
    assert message == (
        "The database driver is postgresql+asyncpg, so there must also be PREFECT_SERVER_DATABASE_HOST, "
        "PREFECT_SERVER_DATABASE_USER, PREFECT_SERVER_DATABASE_NAME."
    )


def test_the_path_of_the_api_has_no_slash_at_its_end(tmp_path: Path) -> None:
    """A slash at the end of the API's path means nothing, as with Prefect; without a value the path is `/api`."""
    found = [
        load({**HOME, "PREFECT_SERVER_API_BASE_PATH": path}, tmp_path).server.api.base_path
        for path in ("/prefect/api/", "/prefect/api", "")
    ]
    assert found == ["/prefect/api", "/prefect/api", ""]
