"""The tree of all settings."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr, SecretStr

from .derive import shown_url
from .describe import Row, describe
from .fields import Group, field
from .kernel import KernelSettings
from .names import is_taken, raise_for_unknown_kernel_names
from .plugin import PluginSettings, Setting
from .resolve import Resolution
from .server import ServerSettings
from .sources import Sources

if TYPE_CHECKING:
    from . import client


class ApiSettings(Group):
    """How clients reach the API; the server needs it for the URLs it hands out."""

    url: str | None = field(None, "URL of the API.")
    auth_string: SecretStr | None = field(None, "`user:password` that clients send.")
    key: SecretStr | None = field(None, "Key that clients send.")
    tls_insecure_skip_verify: bool = field(False, "Whether clients skip checking certificates.")
    ssl_cert_file: str | None = field(None, "File of certificates that clients trust; `SSL_CERT_FILE` by default.")
    enable_http2: bool = field(False, "Whether clients use HTTP/2.")
    request_timeout: float = field(60.0, "Seconds a client waits for an answer.")


class CloudSettings(Group):
    """Prefect Cloud."""

    api_url: str = field("https://api.prefect.cloud/api", "URL of the Cloud's API.")
    enable_orchestration_telemetry: bool = field(True, "Whether clients of the Cloud send telemetry.")
    max_log_size: int = field(25000, "Characters of one log message that the Cloud takes.")
    ui_url: str | None = field(None, "URL of the Cloud's interface; unset, it follows from that of the API.")


class TestingSettings(Group):
    """Switches for tests."""

    test_mode: bool = field(False, "Whether this is a test.", also="PREFECT_TEST_MODE")
    unit_test_mode: bool = field(False, "Whether this is a unit test.", also="PREFECT_UNIT_TEST_MODE")
    unit_test_loop_debug: bool = field(
        True, "Whether the event loop of unit tests is in debug mode.", also="PREFECT_UNIT_TEST_LOOP_DEBUG"
    )
    test_setting: Any = field("FOO", "A value for tests of settings.", also="PREFECT_TEST_SETTING")


class Settings(Group):
    """All settings of a server. What only clients use is read from the same sources when it is first asked for."""

    home: Path = field(Path("~/.prefect"), "Directory of the server's files.")
    profiles_path: Path = field(Path("$PREFECT_HOME/profiles.toml"), "File of the profiles.")
    debug_mode: bool = field(False, "Whether debug logging is on.")
    ui_url: str | None = field(None, "URL of the web interface, for links; unset, it follows from the API's URL.")
    silence_api_url_misconfiguration: bool = field(
        False, "Whether clients keep quiet about an API URL that looks wrong."
    )
    api: ApiSettings
    cloud: CloudSettings
    testing: TestingSettings
    server: ServerSettings
    kernel: KernelSettings

    _sources: Sources = PrivateAttr()
    _resolution: Resolution = PrivateAttr()
    _plugin: PluginSettings = PrivateAttr(default_factory=PluginSettings)
    _client: "client.ClientSide | None" = PrivateAttr(default=None)

    def remember(self, sources: Sources, resolution: Resolution) -> None:
        """Keep what the values were made from, for what is read later."""
        self._sources, self._resolution = sources, resolution

    # ------------------------------------------------------------ shortcuts
    @property
    def database_url(self) -> str:
        """The URL of the database, with its password."""
        url = self.server.database.connection_url
        assert url is not None  # derived when it was not given
        return url.get_secret_value()

    @property
    def shown_database_url(self) -> str:
        """The URL of the database without its secrets, fit for logs."""
        return shown_url(self.database_url)

    @property
    def lease_storage(self) -> str:
        """Name or alias of the lease storage: the database's own, which Prefect does not have, unless one was given."""
        given = self._resolution.found.get(("server", "concurrency", "lease_storage"))
        return "database" if given is None else self.server.concurrency.lease_storage

    @property
    def messaging_broker(self) -> str | None:
        """Name or alias of the broker; None when none was given, so that the database decides."""
        given = self._resolution.found.get(("server", "events", "messaging_broker"))
        return None if given is None else self.server.events.messaging_broker

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd but no error, a sentence each."""
        return tuple(self._sources.warnings)

    # ------------------------------------------------------------ plugins
    @property
    def plugin(self) -> PluginSettings:
        """Values of the settings that plugins brought, by name."""
        return self._plugin

    def adopt(self, plugin: str, declared: Iterable[Setting]) -> None:
        """Take what a plugin's hook `kernel_settings` returned, and look the values up.

        Raises PluginError for a bad declaration and SettingsError for a bad value.
        """
        self._plugin.adopt(plugin, declared, is_taken, self._sources.ordered)

    def check_names(self) -> None:
        """Raise SettingsError for names of the kernel that, now that all plugins were adopted, nobody declared."""
        raise_for_unknown_kernel_names(self._resolution.unknown, self._plugin.declared)

    # ------------------------------------------------------------ what clients use
    @property
    def client_side(self) -> "client.ClientSide":
        """Settings of clients, workers and runners."""
        if self._client is None:
            from .client import read

            self._client = read(self, self._sources.ordered)
        return self._client

    def admin_settings(self) -> dict[str, Any]:
        """What `GET /api/admin/settings` answers: Prefect's settings in their tree, secrets masked."""
        return {
            **self.model_dump(mode="json", exclude={"kernel"}),
            **self.client_side.model_dump(mode="json"),
        }

    def describe(self) -> list[Row]:
        """All settings that concern the server, with their values, secrets masked, and where each came from."""
        return describe(self, self._resolution, self._plugin)
