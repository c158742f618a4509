"""Environments and files in which the reference and the kernel must understand settings alike.

The first scenario is empty. What the kernel refuses and the reference does not (misspelt names, broken profiles) is
tested without the reference, in `tests/core/settings`.
"""

from __future__ import annotations

import json
from typing import Any

SCENARIOS: list[dict[str, Any]] = []


def add(why: str, files: dict[str, str] | None = None, **environ: str) -> None:
    """One more scenario."""
    SCENARIOS.append({"why": why, "environ": environ, "files": files or {}})


def each(why: str, name: str, *values: str) -> None:
    """One scenario per value of a variable."""
    for value in values:
        add(f"{why}: {name}={value!r}", **{name: value})


def profile(**values: Any) -> dict[str, str]:
    """A profiles file with one profile, `mine`, active."""
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    return {"profiles.toml": f'active = "mine"\n[profiles.mine]\n{lines}'}


HERE = {"PREFECT_PROFILES_PATH": "profiles.toml"}
LIMIT, OLD_LIMIT = "PREFECT_SERVER_API_DEFAULT_LIMIT", "PREFECT_API_DEFAULT_LIMIT"
VACUUM = "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED"
RETENTION = "PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES"
DATABASE = "PREFECT_SERVER_DATABASE_"
OLD_DATABASE = "PREFECT_API_DATABASE_"

add("nothing")

# ---------------------------------------------------------------- precedence and names
TABLE = {"prefect.toml": "[server.api]\ndefault_limit = 7\n"}
SHARED = {"pyproject.toml": "[tool.prefect.server.api]\ndefault_limit = 8\nport = 9\n"}
for _name in (LIMIT, OLD_LIMIT):
    add("environment", **{_name: "1"})
    add(".env", {".env": f"{_name}=2\n"})
    add("profile", profile(**{_name: 3}), **HERE)
    add("prefect.toml over profile", {**profile(**{_name: 3}), **TABLE}, **HERE)
    add(".env over prefect.toml", {".env": f"{_name}=2\n", **TABLE})
    for _other in (LIMIT, OLD_LIMIT):
        add("environment over .env", {".env": f"{_name}=2\n"}, **{_other: "1"})
        add("environment over profile", profile(**{_name: 3}), **{_other: "1"}, **HERE)
    add("environment over prefect.toml", TABLE, **{_name: "1"})
add("prefect.toml", TABLE)
add("pyproject.toml", SHARED)
add("prefect.toml over pyproject.toml", {**TABLE, **SHARED})
add("pyproject.toml over profile", {**profile(**{LIMIT: 3}), **SHARED}, **HERE)
add("the name over its alias", **{OLD_LIMIT: "2", LIMIT: "1"})
add("the name over its alias, in a profile", profile(**{OLD_LIMIT: 2, LIMIT: 1}), **HERE)
add("lower case in the environment", **{LIMIT.lower(): "5"})
add("lower case in .env", {".env": f"{LIMIT.lower()}=5\n"})
add("lower case in a profile says nothing", profile(**{LIMIT.lower(): 5}), **HERE)

# ---------------------------------------------------------------- whole groups
add("a group as JSON", PREFECT_SERVER='{"api": {"port": 5555}}')
add("a group as JSON wins over its members", PREFECT_SERVER_API='{"port": 5555}', PREFECT_SERVER_API_PORT="6")
add("a group as JSON in .env too", {".env": "PREFECT_SERVER_API='{\"port\": 5}'\n"}, PREFECT_SERVER_API_PORT="6")
add("a group that is no JSON", PREFECT_SERVER_API="junk")

# ---------------------------------------------------------------- .env
add("interpolation", {".env": "A=7\nPREFECT_SERVER_API_PORT=${A}1\n"})
add("interpolation from the environment", {".env": "PREFECT_SERVER_API_HOST=${A}\n"}, A="host")
add("interpolation, the file first", {".env": "A=file\nPREFECT_SERVER_API_HOST=${A}\n"}, A="process")
add("interpolation with a default", {".env": "PREFECT_SERVER_API_PORT=${A:-44}\n"})
add("export, quotes and a comment", {".env": "export PREFECT_SERVER_API_HOST='a b' # c\n"})
add("a name without a value", {".env": "PREFECT_SERVER_API_HOST\n"})
add("an empty value", {".env": "PREFECT_SERVER_API_PORT=\n"})

# ---------------------------------------------------------------- types
each("whole numbers", "PREFECT_SERVER_API_PORT", "", "abc", "1.0", "1.5", " 5 ", "0x10", "1_000", "-1", "99999")
each("truth", "PREFECT_DEBUG_MODE", "1", "true", "yes", "on", "off", "T", "2", "")
each("durations", "PREFECT_SERVER_API_CSRF_TOKEN_EXPIRATION", "3600", "1.5", "PT1H", "1:00:00", "P1D", "-5", "junk")
each(
    "seconds", "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS", "3600", "1.5", "PT1H", "1:00:00", "-5", "junk", "nan"
)
each("levels", "PREFECT_SERVER_LOGGING_LEVEL", "debug", "INFO", "loud", "")
each(
    "what the vacuum deletes",
    VACUUM,
    "events",
    "events, flow_runs",
    "true",
    "false",
    "1",
    "0",
    "",
    "null",
    '["orphans"]',
)
each("retentions", RETENTION, '{"a": 5}', '{"a": "PT5M"}', '{"a": "7.5"}', "{}", "junk", '{"a": -1}', "null")
each("status codes", "PREFECT_CLIENT_RETRY_EXTRA_CODES", "404,429", "404", "", "[404, 429]", "abc", "99", "null")
each("headers", "PREFECT_CLIENT_CUSTOM_HEADERS", '{"a": "b"}', "junk", '{"a": 1}', "")
each("delays", "PREFECT_TASKS_DEFAULT_RETRY_DELAY_SECONDS", "1", "1.5", "1,2,3", "[1, 2]", "", "x", ",", "null")
each("delays of flows", "PREFECT_FLOWS_DEFAULT_RETRY_DELAY_SECONDS", "1", "1.5", "1,2,3", "[1, 2]", "", "x")
each("sets of names", "PREFECT_LOGGING_EXTRA_LOGGERS", "a,b", "a", "", '["a", "b"]')
each("limits", "PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION", "29.9", "30", "3600", "3600.1")
each("limits", "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD", "3600", "3601")
each("limits that settings set each other", "PREFECT_LOGGING_TO_API_BATCH_SIZE", "10", "5000000")
each("anything", "PREFECT_TESTING_TEST_SETTING", "x", '{"a": 1}')
add(
    "values in TOML have types", {"prefect.toml": "[server.services.late_runs]\nafter_seconds = 1.5\nenabled = false\n"}
)
add("text in TOML is converted", {"prefect.toml": "[server.api]\nport = '81'\n"})
add("numbers in TOML are no text", {"prefect.toml": "[server.api]\nbase_path = 5\n"})
add("sets in TOML", {"prefect.toml": "[server.services.db_vacuum]\nenabled = ['events', 'orphans']\n"})
add("sets as text in TOML", {"prefect.toml": "[server.services.db_vacuum]\nenabled = 'events,flow_runs'\n"})
add("sets as text in a profile", profile(**{VACUUM: "events,flow_runs"}), **HERE)
add("mappings in TOML", {"prefect.toml": "[server.services.db_vacuum.event_retention_overrides]\na = 5\n'b.c' = 10\n"})
add(
    "mappings as text in TOML",
    {"prefect.toml": "[server.services.db_vacuum]\nevent_retention_overrides='{\"a\": 5}'\n"},
)
add("mappings as text in a profile", profile(**{RETENTION: '{"a": 5}'}), **HERE)
add("a group that is a number in TOML", {"prefect.toml": "server = 5\n"})
add("broken prefect.toml", {"prefect.toml": "broken["})
add("broken pyproject.toml", {"pyproject.toml": "broken["})

# ---------------------------------------------------------------- home and profiles
each("home", "PREFECT_HOME", "~/here", "relative", "/absolute/", "")
add("home in .env", {".env": "PREFECT_HOME=/from/env\n"})
add("home in prefect.toml", {"prefect.toml": "home = '~/from-toml'\n"})
OTHER = "active = 'other'\n[profiles.other]\nPREFECT_SERVER_API_PORT = 77\nPREFECT_HOME = '/from/profile'\n"
add("profiles below the home directory", {"h/profiles.toml": OTHER}, PREFECT_HOME="h")
add("a home that only .env names has no profiles", {"h/profiles.toml": OTHER, ".env": "PREFECT_HOME=h\n"})
add("profiles named by .env", {"h/profiles.toml": OTHER, ".env": "PREFECT_PROFILES_PATH=h/profiles.toml\n"})
add("profiles named by TOML", {"h/profiles.toml": OTHER, "prefect.toml": "profiles_path = 'h/profiles.toml'\n"})
add("a template in the path of profiles", PREFECT_PROFILES_PATH="$PREFECT_HOME/p.toml", PREFECT_HOME="/h")
add("no template elsewhere", PREFECT_MEMO_STORE_PATH="$PREFECT_HOME/x")
TWO = {
    "profiles.toml": "active = 'a'\n[profiles.a]\nPREFECT_SERVER_API_PORT = 1\n"
    "[profiles.b]\nPREFECT_SERVER_API_PORT = 2\n[profiles.empty]\n"
}
for _active in ("a", "b", "empty", "nobody", ""):
    add(f"active profile {_active!r}", TWO, PREFECT_PROFILE=_active, **HERE)
add("no active profile", {"profiles.toml": "[profiles.a]\nPREFECT_SERVER_API_PORT = 1\n"}, **HERE)
add("an empty file of profiles", {"profiles.toml": ""}, **HERE)
add("tests read no profiles", profile(**{LIMIT: 3}), PREFECT_TEST_MODE="0", **HERE)
add("tests by another name", profile(**{LIMIT: 3}), PREFECT_TESTING_UNIT_TEST_MODE="1", **HERE)

# ---------------------------------------------------------------- derived
each("the API's URL", "PREFECT_API_URL", "", "http://host:4200/api", "http://host/api/more/api")
each("the Cloud", "PREFECT_API_URL", "https://api.prefect.cloud/api/accounts/1/workspaces/2")
each("another Cloud", "PREFECT_CLOUD_API_URL", "https://api-stg.prefect.dev/api", "http://localhost/api")
add("the interface's URL", PREFECT_UI_URL="http://ui", PREFECT_UI_API_URL="/api")
add("the interface's URL follows the server's", PREFECT_SERVER_API_HOST="0.0.0.0", PREFECT_SERVER_API_PORT="99")
add("secrets", PREFECT_API_KEY="k", PREFECT_API_AUTH_STRING="a:b", PREFECT_SERVER_API_AUTH_STRING="c:d")
add("Prefect's plugins under their former name", PREFECT_EXPERIMENTS_PLUGINS_ALLOW="a,b")
add("Prefect's plugins in their former table", {"prefect.toml": "[experiments.plugins]\nenabled = true\n"})

# ---------------------------------------------------------------- the database
POSTGRES = {OLD_DATABASE + "DRIVER": "postgresql+asyncpg"}
WHERE = {OLD_DATABASE + "HOST": "host", OLD_DATABASE + "USER": "a user", OLD_DATABASE + "NAME": "name/1"}
add("a driver alone", **POSTGRES)
add("a URL from its parts", **POSTGRES, **WHERE, **{DATABASE + "PASSWORD": "p@s:s/ w%"})
add("a URL without a password", **POSTGRES, **WHERE, **{DATABASE + "PORT": "7"})
add("an unknown driver", **{DATABASE + "DRIVER": "mysql"})
add("SQLite at its default", **{DATABASE + "DRIVER": "sqlite+aiosqlite"})
add("SQLite by name", **{DATABASE + "DRIVER": "sqlite+aiosqlite", DATABASE + "NAME": "/x/y.db"})
each("URLs", OLD_DATABASE + "CONNECTION_URL", "sqlite+aiosqlite:///:memory:", "postgresql+asyncpg://u:p@h/n", "")
PLACE = "postgresql+asyncpg://u:${PREFECT_API_DATABASE_PASSWORD}@h/n"
add("a place for the password", **{DATABASE + "CONNECTION_URL": PLACE, DATABASE + "PASSWORD": "secret"})
add("a place for the password, and none", **{DATABASE + "CONNECTION_URL": PLACE})
