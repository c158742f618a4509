"""Settings of clients, workers and runners: the server only shows them, so they are imported when somebody asks."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from ..errors import SettingsError
from .derive import Values, connected_to_cloud, default_paths, replaced
from .fields import Group, LogLevel, field, groups
from .resolve import Resolution, Unknown, build, known_names, resolve
from .sources import Source

if TYPE_CHECKING:
    from .root import Settings


def _split(value: Any) -> Any:
    if not value:
        return set()
    if isinstance(value, str):
        return {part.strip() for part in value.split(",")}
    return value if isinstance(value, list | tuple | set | frozenset) else {value}


def _headers(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _delays(value: Any) -> Any:
    """A number, or several separated by commas."""
    if not isinstance(value, str):
        return value
    parts = [float(part) for part in value.split(",") if part.strip()]
    return None if not parts else parts[0] if len(parts) == 1 else parts


StatusCode = Annotated[int, Field(ge=100, le=599)]
StatusCodes = Annotated[set[StatusCode] | None, BeforeValidator(_split)]
TextSet = Annotated[set[str] | None, BeforeValidator(_split)]
Headers = Annotated[dict[str, str], BeforeValidator(_headers)]
RetryDelays = Annotated[float | int | list[float] | None, BeforeValidator(_delays)]


class CliSettings(Group):
    """Prefect's command line."""

    colors: bool = field(True)
    prompt: bool | None = field(None)
    wrap_lines: bool = field(True)


class ClientMetricsSettings(Group):
    """Metrics of clients."""

    enabled: bool = field(False, also="PREFECT_CLIENT_ENABLE_METRICS")
    port: int = field(4201)


class ClientSettings(Group):
    """Clients of the API."""

    max_retries: int = field(5, ge=0)
    retry_jitter_factor: float = field(0.2, ge=0)
    retry_extra_codes: StatusCodes = field(frozenset())
    csrf_support_enabled: bool = field(True)
    custom_headers: Headers = field({})
    server_version_check_enabled: bool = field(True)
    metrics: ClientMetricsSettings


class DeploymentsSettings(Group):
    """Defaults of deployments."""

    default_work_pool_name: str | None = field(None, also="PREFECT_DEFAULT_WORK_POOL_NAME")
    default_docker_build_namespace: str | None = field(None, also="PREFECT_DEFAULT_DOCKER_BUILD_NAMESPACE")


class EventsSettings(Group):
    """Events of clients."""

    worker_max_queue_size: int = field(0, ge=0)


class ExperimentsSettings(Group):
    """Experiments."""

    warn: bool = field(True, also="PREFECT_EXPERIMENTAL_WARN")


class FlowsSettings(Group):
    """Defaults of flows."""

    heartbeat_frequency: int | None = field(180, also="PREFECT_RUNNER_HEARTBEAT_FREQUENCY", ge=30)
    default_retries: int = field(0, also="PREFECT_FLOW_DEFAULT_RETRIES", ge=0)
    default_retry_delay_seconds: int | float | list[float] = field(0, also="PREFECT_FLOW_DEFAULT_RETRY_DELAY_SECONDS")


class InternalSettings(Group):
    """Prefect's own machinery."""

    logging_level: LogLevel = field("ERROR", also="PREFECT_LOGGING_INTERNAL_LEVEL")


class LoggingToApiSettings(Group):
    """Logs that clients send to the API."""

    enabled: bool = field(True)
    batch_interval: float = field(2.0)
    batch_size: int = field(4000000)
    max_log_size: int = field(1000000)
    when_missing_flow: Literal["warn", "error", "ignore"] = field("warn")

    @model_validator(mode="after")
    def _one_log_fits_into_a_batch(self) -> Self:
        if self.batch_size < self.max_log_size:
            raise ValueError("max_log_size must not be greater than batch_size")
        return self


class LoggingSettings(Group):
    """Logs of clients."""

    level: LogLevel = field("INFO")
    config_path: Path = field(Path("$PREFECT_HOME/logging.yml"), also="PREFECT_LOGGING_SETTINGS_PATH")
    extra_loggers: TextSet = field(None)
    log_prints: bool = field(False)
    colors: bool = field(True)
    markup: bool = field(False)
    to_api: LoggingToApiSettings


class PluginsSettings(Group):
    """Prefect's own plugins, which the kernel does not load."""

    enabled: bool = field(False, also="PREFECT_EXPERIMENTS_PLUGINS_ENABLED")
    allow: TextSet = field(None, also="PREFECT_EXPERIMENTS_PLUGINS_ALLOW")
    deny: TextSet = field(None, also="PREFECT_EXPERIMENTS_PLUGINS_DENY")
    setup_timeout_seconds: float = field(20.0, also="PREFECT_EXPERIMENTS_PLUGINS_SETUP_TIMEOUT_SECONDS")
    strict: bool = field(False, also="PREFECT_EXPERIMENTS_PLUGINS_STRICT")
    safe_mode: bool = field(False, also="PREFECT_EXPERIMENTS_PLUGINS_SAFE_MODE")


class ResultsSettings(Group):
    """Results of runs."""

    default_serializer: str = field("pickle")
    persist_by_default: bool = field(False)
    default_storage_block: str | None = field(None, also="PREFECT_DEFAULT_RESULT_STORAGE_BLOCK")
    local_storage_path: Path = field(Path("$PREFECT_HOME/storage"), also="PREFECT_LOCAL_STORAGE_PATH")


class RunnerServerSettings(Group):
    """The web server of a runner."""

    enable: bool = field(False)
    host: str = field("localhost")
    port: int = field(8080)
    log_level: LogLevel = field("ERROR")
    missed_polls_tolerance: int = field(2)


class RunnerSettings(Group):
    """Runners."""

    process_limit: int = field(5)
    poll_frequency: int = field(10)
    crash_on_cancellation_failure: bool = field(False)
    auto_install_dependencies: bool = field(False)
    server: RunnerServerSettings


class TasksRunnerSettings(Group):
    """Task runners."""

    thread_pool_max_workers: int | None = field(None, also="PREFECT_TASK_RUNNER_THREAD_POOL_MAX_WORKERS", gt=0)
    process_pool_max_workers: int | None = field(None, gt=0)


class TasksSchedulingSettings(Group):
    """Background tasks, on the client."""

    default_storage_block: str | None = field(None, also="PREFECT_TASK_SCHEDULING_DEFAULT_STORAGE_BLOCK")
    delete_failed_submissions: bool = field(True, also="PREFECT_TASK_SCHEDULING_DELETE_FAILED_SUBMISSIONS")


class TasksSettings(Group):
    """Defaults of tasks."""

    refresh_cache: bool = field(False)
    default_no_cache: bool = field(False)
    disable_caching: bool = field(False)
    default_retries: int = field(0, also="PREFECT_TASK_DEFAULT_RETRIES", ge=0)
    default_retry_delay_seconds: RetryDelays = field(0, also="PREFECT_TASK_DEFAULT_RETRY_DELAY_SECONDS")
    default_persist_result: bool | None = field(None)
    runner: TasksRunnerSettings
    scheduling: TasksSchedulingSettings


class TelemetrySettings(Group):
    """Metrics of resources."""

    enable_resource_metrics: bool = field(True)
    resource_metrics_interval_seconds: int = field(10, ge=1)


class WorkerWebserverSettings(Group):
    """The web server of a worker."""

    host: str = field("0.0.0.0")  # noqa: S104  # a client's default, only shown here
    port: int = field(8080)


class WorkerSettings(Group):
    """Workers."""

    debug_mode: bool = field(False)
    heartbeat_seconds: float = field(30)
    query_seconds: float = field(10)
    prefetch_seconds: float = field(10)
    enable_cancellation: bool = field(False)
    cancellation_poll_seconds: float = field(120)
    webserver: WorkerWebserverSettings


class ClientSide(Group):
    """Everything of Prefect's tree that a server does not use itself."""

    cli: CliSettings
    client: ClientSettings
    deployments: DeploymentsSettings
    events: EventsSettings
    experiments: ExperimentsSettings
    flows: FlowsSettings
    internal: InternalSettings
    logging: LoggingSettings
    plugins: PluginsSettings
    results: ResultsSettings
    runner: RunnerSettings
    tasks: TasksSettings
    telemetry: TelemetrySettings
    worker: WorkerSettings


def _resolve(sources: list[Source]) -> Resolution:
    # Prefect's own plugins were an experiment once; files may still say so.
    former = [
        Source(source.label, "table", {"plugins": table["plugins"]})
        for source in sources
        if source.kind == "table"
        and isinstance(table := source.values.get("experiments"), dict)
        and isinstance(table.get("plugins"), dict)
    ]
    return resolve(ClientSide, sources + former)


def check(unknown: list[Unknown], sources: list[Source], problems: list[str]) -> list[Unknown]:
    """What of the unknown is unknown here too; bad values are added to the problems."""
    resolution = _resolve(sources)
    try:
        build(ClientSide, resolution)
    except SettingsError as error:
        problems += error.message.split("\n")
    known = known_names(ClientSide)
    mine = {path[0] for path in groups(ClientSide) if path}

    def below_mine(item: Unknown) -> bool:
        return item.name.split(".")[0] in mine

    return [item for item in unknown if item.name not in known and not below_mine(item)] + [
        item for item in resolution.unknown if below_mine(item)
    ]


def read(settings: "Settings", sources: list[Source]) -> ClientSide:
    """These settings from the sources of the others, on which some of them depend."""
    resolution = _resolve(sources)
    tree = build(ClientSide, resolution)
    values: Values = default_paths(ClientSide, resolution.found, settings.home)
    if settings.debug_mode or settings.testing.test_mode:
        values[("logging", "level")] = values[("internal", "logging_level")] = "DEBUG"
    if connected_to_cloud(settings):
        most = min(tree.logging.to_api.max_log_size, settings.cloud.max_log_size)
        values[("logging", "to_api", "max_log_size")] = most
    return replaced(tree, values)
