"""Where values come from, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_kernel.errors import SettingsError
from prefect_kernel.settings import Settings, load

HOME = {"HOME": "/home/somebody"}


def source_of(settings: Settings, name: str) -> str:
    """Where the table of settings says that a value came from."""
    return next(row.source for row in settings.describe() if row.name == name)


def test_each_source_wins_over_the_next_and_is_named(tmp_path: Path) -> None:
    """Taking sources away one by one, the next one's value is found, with its place in the table."""
    name = "PREFECT_SERVER_API_PORT"
    (tmp_path / ".env").write_text(f"{name}=3\n", encoding="utf-8")
    (tmp_path / "prefect.toml").write_text("[server.api]\nport = 4\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool.prefect.server.api]\nport = 5\n", encoding="utf-8")
    (tmp_path / "profiles.toml").write_text(f"active = 'mine'\n[profiles.mine]\n{name} = 6\n", encoding="utf-8")
    environ = {**HOME, "PREFECT_PROFILES_PATH": "profiles.toml", name: "2"}

    def found() -> tuple[int, str]:
        settings = load(environ, tmp_path)
        return settings.server.api.port, source_of(settings, name)

    settings = load(environ, tmp_path, {"server.api.port": 1})
    assert (settings.server.api.port, source_of(settings, name)) == (1, "override")
    assert found() == (2, "environment")
    del environ[name]
    assert found() == (3, ".env")
    (tmp_path / ".env").unlink()
    assert found() == (4, "prefect.toml")
    (tmp_path / "prefect.toml").unlink()
    assert found() == (5, "pyproject.toml")
    (tmp_path / "pyproject.toml").unlink()
    assert found() == (6, "profile mine")
    (tmp_path / "profiles.toml").unlink()
    assert found() == (4200, "default")


def test_overrides_take_names_paths_and_python_values(tmp_path: Path) -> None:
    """An override is named as in the environment or by its path, and may be no text; None is a value."""
    overrides = {"PREFECT_API_DATABASE_TIMEOUT": None, "server.ui.enabled": False, "kernel.plugins": ("a", "b")}
    settings = load(HOME, tmp_path, overrides)
    assert settings.server.database.timeout is None
    assert settings.server.ui.enabled is False
    assert settings.kernel.plugins == ("a", "b")


def test_an_override_that_means_nothing_is_refused(tmp_path: Path) -> None:
    """A misspelt path in an override is an error that says what was meant."""
    with pytest.raises(SettingsError, match=r"server\.api\.prot .*did you mean server\.api\.port"):
        load(HOME, tmp_path, {"server.api.prot": 1})


def test_the_process_is_read_when_nothing_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments, environment and working directory are the process's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_SERVER_API_PORT", "4321")
    (tmp_path / "prefect.toml").write_text("[server.api]\nhost = '0.0.0.0'\n", encoding="utf-8")
    settings = load()
    assert (settings.server.api.host, settings.server.api.port) == ("0.0.0.0", 4321)
    assert settings.database_url == f"sqlite+aiosqlite:///{tmp_path}/prefect.db"


def test_the_kernels_own_settings_come_from_all_sources(tmp_path: Path) -> None:
    """`PREFECT_KERNEL_…` is read from the environment, `.env`, `[kernel]` and the profile alike."""
    (tmp_path / ".env").write_text("prefect_kernel_disable=a, b\n", encoding="utf-8")
    (tmp_path / "prefect.toml").write_text("[kernel]\nplugins = ['c']\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool.prefect.kernel]\nsqlite_readers = 3\n", encoding="utf-8")
    profile = "active = 'p'\n[profiles.p]\nPREFECT_KERNEL_SQLITE_SYNCHRONOUS = 'full'\n"
    (tmp_path / "profiles.toml").write_text(profile, encoding="utf-8")
    environ = {**HOME, "PREFECT_HOME": str(tmp_path), "PREFECT_KERNEL_SERVER": "uvicorn"}
    kernel = load(environ, tmp_path).kernel
    assert kernel.disable == ("a", "b")
    assert kernel.plugins == ("c",)
    assert kernel.sqlite_readers == 3
    assert kernel.sqlite_synchronous == "full"
    assert kernel.server == "uvicorn"


def test_a_profile_that_does_not_exist_is_a_warning(tmp_path: Path) -> None:
    """As in Prefect the default profile is used then, and somebody is told."""
    settings = load({**HOME, "PREFECT_PROFILE": "staging"}, tmp_path)
    assert settings.warnings == (
        "There is no profile 'staging', which PREFECT_PROFILE names; Prefect's default profile is used.",
    )
    assert load(HOME, tmp_path).warnings == ()


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("postgresql+asyncpg://u@h/n", True),
        ("postgresql+asyncpg://u:secret@h/n", False),
        ("postgresql+asyncpg://u:${PREFECT_SERVER_DATABASE_PASSWORD}@h/n", False),
        ("sqlite+aiosqlite:///secret.db", True),
    ],
)
def test_a_password_that_is_not_used_is_a_warning(url: str, warned: bool, tmp_path: Path) -> None:
    """A password without a place in the URL would be forgotten silently."""
    environ = {
        **HOME,
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": url,
        "PREFECT_SERVER_DATABASE_PASSWORD": "secret",
    }
    assert bool(load(environ, tmp_path).warnings) is warned


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    """Settings are read once; nobody changes them under a running server."""
    with pytest.raises(ValueError, match="frozen"):
        load(HOME, tmp_path).server.api.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        ({"events"}, {"events"}),
        ("true", {"events", "flow_runs", "orphans"}),
        ("false", {"events"}),
        ("flow_runs", {"flow_runs", "orphans"}),
        ("orphans,events", {"events", "orphans"}),
        (None, set()),
    ],
)
def test_what_the_vacuum_deletes(value: object, kinds: set[str], tmp_path: Path) -> None:
    """Flow runs imply orphans, true is everything, false has always meant events, and None is nothing."""
    overrides = {"server.services.db_vacuum.enabled": value}
    assert load(HOME, tmp_path, overrides).server.services.db_vacuum.kinds == kinds
