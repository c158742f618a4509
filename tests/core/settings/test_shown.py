"""What is shown of settings, and what reading them costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from prefect_kernel.settings import Setting, load
from prefect_kernel.settings.derive import shown_url
from prefect_kernel.settings.document import markdown
from prefect_kernel.settings.fields import declarations
from prefect_kernel.settings.root import Settings

HOME = {"HOME": "/home/somebody"}
SECRETS = {
    "PREFECT_API_KEY": "hush-1",
    "PREFECT_API_AUTH_STRING": "user:hush-2",
    "PREFECT_SERVER_API_AUTH_STRING": "user:hush-3",
    "PREFECT_SERVER_DATABASE_PASSWORD": "hush-4",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://u:hush-4@h:1/n?sslpassword=hush-5&x=y",
    "ACME_TOKEN": "hush-6",
}


def test_no_secret_is_shown_anywhere(tmp_path: Path) -> None:
    """Secrets appear neither in the table, nor in the answer of the API, nor in `repr`, nor in logs of the URL."""
    settings = load({**HOME, **SECRETS}, tmp_path)
    settings.adopt("acme", [Setting("ACME_TOKEN", str, "", "Token.", secret=True)])
    shown = [repr(settings.describe()), json.dumps(settings.admin_settings()), repr(settings)]
    assert "hush" not in "".join([*shown, settings.shown_database_url])
    assert settings.plugin["ACME_TOKEN"] == "hush-6"
    assert settings.database_url == SECRETS["PREFECT_SERVER_DATABASE_CONNECTION_URL"]


def test_the_table_tells_name_value_and_source(tmp_path: Path) -> None:
    """Rows are in the words of the environment; of the database's URL all but the secrets is shown."""
    environ = {**HOME, **SECRETS, "prefect_server_ui_enabled": "0"}
    settings = load(environ, tmp_path)
    settings.adopt("acme", [Setting("ACME_TOKEN", str, "", "Token.", secret=True)])
    rows = {row.name: (row.value, row.source) for row in settings.describe()}
    assert rows["PREFECT_SERVER_UI_ENABLED"] == ("false", "environment")
    assert rows["PREFECT_SERVER_API_AUTH_STRING"] == ("**********", "environment")
    url = "postgresql+asyncpg://u:***@h:1/n?sslpassword=***&x=y"
    assert rows["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == (url, "environment")
    assert rows["PREFECT_SERVER_EVENTS_RETENTION_PERIOD"] == ("604800", "default")
    assert rows["PREFECT_SERVER_EPHEMERAL_ENABLED"] == ("true", "profile ephemeral")
    assert rows["ACME_TOKEN"] == ("**********", "environment")
    assert len(rows) == len(declarations(Settings)) + 1


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+asyncpg://u:a@b@c@h:1/n", "postgresql+asyncpg://u:***@h:1/n"),
        ("postgresql+asyncpg://u:a/b#c@h:1/n", "postgresql+asyncpg://u:***@h:1/n"),
        ("sqlite+aiosqlite:////home/x.db", "sqlite+aiosqlite:////home/x.db"),
    ],
)
def test_passwords_as_people_write_them(url: str, shown: str) -> None:
    """A password that was not quoted is masked as a whole."""
    assert shown_url(url) == shown


def test_every_setting_is_described_in_a_sentence() -> None:
    """No setting of the server or the kernel goes without a word about what it does."""
    unsaid = [declared.name for declared in declarations(Settings).values() if not declared.doc.endswith(".")]
    assert unsaid == []


def test_the_documentation_is_current() -> None:
    """`docs/settings.md` is what the declarations say; make it again as its second line tells."""
    document = Path(__file__).parents[3] / "docs" / "settings.md"
    assert document.read_text(encoding="utf-8") == markdown()


@pytest.mark.parametrize(
    "unwanted", ["pydantic_settings", "dotenv", "prefect_kernel.settings.client", "prefect_kernel.settings.document"]
)
def test_loading_imports_only_what_it_needs(unwanted: str, tmp_path: Path) -> None:
    """Start is quick because what most servers never use is imported when it is used."""
    script = "import sys; from prefect_kernel.settings import load; load({'HOME': '.'}, '.'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert unwanted not in done.stdout.split()
