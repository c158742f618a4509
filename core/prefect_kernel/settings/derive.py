"""Values that follow from other settings when nobody gave them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr

from ..errors import SettingsError
from .fields import Group, declarations

if TYPE_CHECKING:
    from .resolve import Found
    from .root import Settings
    from .server import ServerDatabaseSettings

G = TypeVar("G", bound=Group)
Values = dict[tuple[str, ...], Any]

HOME = "$PREFECT_HOME"


def replaced(group: G, values: Values) -> G:
    """A copy of a group with other values at some paths."""
    update: dict[str, Any] = {path[0]: value for path, value in values.items() if len(path) == 1}
    deeper: dict[str, Values] = {}
    for path, value in values.items():
        if len(path) > 1:
            deeper.setdefault(path[0], {})[path[1:]] = value
    for name, inner in deeper.items():
        update[name] = replaced(getattr(group, name), inner)
    return group.model_copy(update=update)


def expand_user(path: Path, environ: Mapping[str, str]) -> Path:
    """`~` replaced by the home directory that the environment names."""
    if path.parts[:1] == ("~",) and environ.get("HOME"):
        return Path(environ["HOME"], *path.parts[1:])
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise SettingsError(f"The home directory in {str(path)!r} is not known; set PREFECT_HOME.") from error


def default_paths(root: type[Group], found: Mapping[tuple[str, ...], Any], home: Path) -> Values:
    """Paths below the home directory that nobody gave."""
    return {
        path: home / Path(*declared.default.parts[1:])
        for path, declared in declarations(root).items()
        if isinstance(declared.default, Path) and declared.default.parts[0] == HOME and path not in found
    }


def derive(settings: Settings, found: Mapping[tuple[str, ...], Found], environ: Mapping[str, str]) -> Settings:
    """The settings with everything filled in that follows from them. Raises SettingsError for a bad combination."""
    home = expand_user(settings.home, environ)
    values = default_paths(type(settings), found, home)
    values[("home",)] = home
    given = str(settings.profiles_path)
    if ("profiles_path",) in found and HOME in given:
        values[("profiles_path",)] = Path(given.replace(HOME, str(home)))
    if ("api", "ssl_cert_file") not in found:
        values[("api", "ssl_cert_file")] = environ.get("SSL_CERT_FILE")
    cloud_ui = settings.cloud.ui_url
    if cloud_ui is None:
        values[("cloud", "ui_url")] = cloud_ui = _ui_of_cloud(settings.cloud.api_url)
    api_url = settings.api.url
    if settings.ui_url is None and api_url:
        values[("ui_url",)] = _ui_of_api(api_url, settings.cloud.api_url, cloud_ui)
    if settings.server.ui.api_url is None:
        api = settings.server.api
        values[("server", "ui", "api_url")] = api_url or f"http://{api.host}:{api.port}/api"
    values[("server", "database", "connection_url")] = SecretStr(_database_url(settings.server.database, home))
    return replaced(settings, values)


def connected_to_cloud(settings: Settings) -> bool:
    """Whether clients with these settings talk to Prefect Cloud."""
    return bool(settings.api.url and settings.api.url.startswith(settings.cloud.api_url))


def _ui_of_cloud(api_url: str) -> str:
    if re.match(r"https://api[.\w]*.prefect.[^.]+/", api_url):
        api_url = api_url.replace("https://api", "https://app", 1)
    return api_url.removesuffix("/api")


def _ui_of_api(api_url: str, cloud_url: str, cloud_ui: str) -> str:
    if cloud_ui and api_url.startswith(cloud_url):
        api_url = api_url.replace(cloud_url, cloud_ui)
    api_url = api_url.removesuffix("/api").replace("/api/", "/")
    return api_url.replace("/accounts/", "/account/").replace("/workspaces/", "/workspace/")


# ---------------------------------------------------------------- database
_PASSWORD_PLACES = ("${PREFECT_API_DATABASE_PASSWORD}", "${PREFECT_SERVER_DATABASE_PASSWORD}")


def _database_url(database: ServerDatabaseSettings, home: Path) -> str:
    if database.connection_url is not None:
        url = database.connection_url.get_secret_value()
    elif database.driver == "postgresql+asyncpg":
        url = _postgres_url(database)
    elif database.driver == "sqlite+aiosqlite" and database.name:
        url = f"sqlite+aiosqlite:///{database.name}"
    else:
        url = f"sqlite+aiosqlite:///{home}/prefect.db"
    if any(place.strip("${}") in url for place in _PASSWORD_PLACES):
        if database.password is None:
            raise SettingsError(
                "The database URL has a place for the password, so PREFECT_SERVER_DATABASE_PASSWORD must be set."
            )
        for place in _PASSWORD_PLACES:
            url = url.replace(place, database.password.get_secret_value())
    return url


def _postgres_url(database: ServerDatabaseSettings) -> str:
    missing = [name for name in ("host", "user", "name") if getattr(database, name) is None]
    if missing:
        names = ", ".join(f"PREFECT_SERVER_DATABASE_{name.upper()}" for name in missing)
        raise SettingsError(f"The database driver is postgresql+asyncpg, so there must also be {names}.")
    from sqlalchemy import URL

    return URL.create(
        "postgresql+asyncpg",
        username=database.user,
        password=database.password.get_secret_value() if database.password else None,
        host=database.host,
        port=database.port or 5432,
        database=database.name,
    ).render_as_string(hide_password=False)


def shown_url(url: str) -> str:
    """A database URL without its secrets, fit for logs."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return url.split(":", 1)[0] + ":…"
    if parsed.host is not None and "@" in parsed.host:  # a password with an @ that is not written %40
        parsed = parsed.set(host=parsed.host.rpartition("@")[2])
    hidden = {key: "***" for key in parsed.query if "password" in key.lower()}
    # SQLAlchemy would write the stars in percent signs
    return parsed.update_query_dict(hidden).render_as_string(hide_password=True).replace("%2A", "*")
