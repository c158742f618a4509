"""Settings of the server, with Prefect's names, types, defaults and limits."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from .fields import UNUSED, ApiPath, Group, LogLevel, field
from .services import ServicesSettings


class ServerApiSettings(Group):
    """Where the API listens, and what it takes from clients."""

    auth_string: SecretStr | None = field(
        None, "`user:password` that requests must carry as HTTP basic authentication; unset lets everybody in."
    )
    host: str = field("127.0.0.1", "Address the API listens on.")
    port: int = field(4200, "Port the API listens on.")
    base_path: ApiPath | None = field(None, "Path under which the API is served, in place of `/api`.")
    default_limit: int = field(
        200,
        "Rows that a filter route answers at most, and when a request names no limit.",
        also="PREFECT_API_DEFAULT_LIMIT",
    )
    keepalive_timeout: int = field(5, "Seconds an idle HTTP connection is kept open.")
    csrf_protection_enabled: bool = field(
        False,
        "Whether requests that change something must carry a CSRF token.",
        also="PREFECT_SERVER_CSRF_PROTECTION_ENABLED",
    )
    csrf_token_expiration: timedelta = field(
        timedelta(hours=1), "How long a CSRF token is good for.", also="PREFECT_SERVER_CSRF_TOKEN_EXPIRATION"
    )
    cors_allowed_origins: str = field(
        "*",
        "Origins whose pages may call the API, separated by commas; `*` is any.",
        also="PREFECT_SERVER_CORS_ALLOWED_ORIGINS",
    )
    cors_allowed_methods: str = field(
        "*",
        "Methods that pages of other origins may use, separated by commas; `*` is any.",
        also="PREFECT_SERVER_CORS_ALLOWED_METHODS",
    )
    cors_allowed_headers: str = field(
        "*",
        "Headers that pages of other origins may send, separated by commas; `*` is any.",
        also="PREFECT_SERVER_CORS_ALLOWED_HEADERS",
    )
    websocket_ping_interval: float = field(20.0, "Seconds between pings of the server on a WebSocket.")
    websocket_ping_timeout: float = field(20.0, "Seconds a WebSocket may leave a ping unanswered before it is closed.")
    max_parameter_size: int = field(
        524_288, "Bytes of JSON that the parameters of a run or deployment may take; 0 lifts the limit.", ge=0
    )


class ServerConcurrencySettings(Group):
    """Concurrency limits and their leases."""

    lease_storage: str = field(
        "prefect.server.concurrency.lease_storage.memory",
        "Where leases are kept: Prefect's module names stand for the kernel's own storages; unset, in the database.",
    )
    initial_deployment_lease_duration: float = field(
        300.0, "Seconds for which the slot of a deployment's run is leased at first.", ge=30, le=3600
    )
    maximum_concurrency_slot_wait_seconds: float = field(
        30, "Longest wait that a client is told when no slot is free.", ge=0
    )


class TlsSettings(Group):
    """TLS towards PostgreSQL."""

    enabled: bool = field(False, "Whether connections use TLS with the files below.")
    ca_file: str | None = field(None, "File of the authority that signed the server's certificate.")
    cert_file: str | None = field(None, "File of the client's certificate.")
    key_file: str | None = field(None, "File of the client's key.")
    check_hostname: bool = field(True, "Whether the certificate must name the host.")


class ConnectArgsSettings(Group):
    """What each PostgreSQL connection is opened with."""

    application_name: str | None = field(None, "Name shown in `pg_stat_activity`.")
    search_path: str | None = field(None, "Schemas to search, in order; keep the one that holds pg_trgm.")
    statement_cache_size: int | None = field(
        None, "Prepared statements that a connection keeps; 0 is needed behind PgBouncer in transaction mode."
    )
    prepared_statement_cache_size: int | None = field(
        None, "Read for compatibility: statements that SQLAlchemy would keep; 0 switches keeping off."
    )
    tls: TlsSettings


class SqlalchemySettings(Group):
    """The pool of PostgreSQL connections, under the names of Prefect's engine."""

    connect_args: ConnectArgsSettings
    pool_size: int = field(5, "Connections kept open.", also="PREFECT_SQLALCHEMY_POOL_SIZE")
    pool_recycle: int = field(3600, "Seconds after which an idle connection is replaced; -1 never does.")
    pool_timeout: float | None = field(30.0, "Seconds to wait for a free connection.")
    max_overflow: int = field(
        10,
        "Connections beyond the pool's size that load may open; -1 adds none here.",
        also="PREFECT_SQLALCHEMY_MAX_OVERFLOW",
    )


class ServerDatabaseSettings(Group):
    """The database and how it is reached."""

    sqlalchemy: SqlalchemySettings
    connection_url: SecretStr | None = field(
        None,
        "URL of the database; unset, it is made from driver, host and so on, or is SQLite in the home directory.",
        also="PREFECT_API_DATABASE_CONNECTION_URL",
    )
    driver: Literal["postgresql+asyncpg", "sqlite+aiosqlite"] | None = field(
        None, "Driver that the URL is made for when no URL is given.", also="PREFECT_API_DATABASE_DRIVER"
    )
    host: str | None = field(None, "Host of the PostgreSQL server.", also="PREFECT_API_DATABASE_HOST")
    port: int | None = field(None, "Port of the PostgreSQL server; 5432 when unset.", also="PREFECT_API_DATABASE_PORT")
    user: str | None = field(None, "User to connect as.", also="PREFECT_API_DATABASE_USER")
    name: str | None = field(
        None, "Name of the PostgreSQL database, or path of the SQLite file.", also="PREFECT_API_DATABASE_NAME"
    )
    password: SecretStr | None = field(
        None, "Password to connect with; also replaces its placeholder in a URL.", also="PREFECT_API_DATABASE_PASSWORD"
    )
    echo: bool = field(False, UNUSED + "whether SQL statements are logged.", also="PREFECT_API_DATABASE_ECHO")
    migrate_on_start: bool = field(
        True, "Whether start brings the database's schema up to date.", also="PREFECT_API_DATABASE_MIGRATE_ON_START"
    )
    timeout: float | None = field(10.0, "Seconds a statement may take.", also="PREFECT_API_DATABASE_TIMEOUT")
    connection_timeout: float | None = field(
        5.0, "Seconds that opening a connection may take.", also="PREFECT_API_DATABASE_CONNECTION_TIMEOUT"
    )
    migration_timeout: float | None = field(
        None, "Seconds a statement of a migration may take; unset is no limit.", gt=0
    )


class ServerDeploymentsSettings(Group):
    """Deployments."""

    concurrency_slot_wait_seconds: float = field(
        30.0,
        "Seconds before a run tries again for a slot of its deployment.",
        also="PREFECT_DEPLOYMENT_CONCURRENCY_SLOT_WAIT_SECONDS",
        ge=0,
    )


class ServerDocketSettings(Group):
    """Prefect's background queue; the kernel's services do not need one."""

    name: str = field("prefect-server", "Name of the queue.")
    url: str = field("memory://", "URL of the queue's storage.")


class ServerEphemeralSettings(Group):
    """Servers that clients start for themselves."""

    enabled: bool = field(
        False,
        "Whether a client without an API URL starts a server of its own.",
        also="PREFECT_SERVER_ALLOW_EPHEMERAL_MODE",
    )
    startup_timeout_seconds: int = field(20, "Seconds a client waits for its own server to start.")


class ServerEventsSettings(Group):
    """Events: limits, retention, messaging."""

    stream_out_enabled: bool = field(
        True, "Whether clients may subscribe to events.", also="PREFECT_API_EVENTS_STREAM_OUT_ENABLED"
    )
    related_resource_cache_ttl: timedelta = field(
        timedelta(minutes=5),
        UNUSED + "how long resources related to an event are cached.",
        also="PREFECT_API_EVENTS_RELATED_RESOURCE_CACHE_TTL",
    )
    maximum_labels_per_resource: int = field(
        500, "Labels that one resource of an event may have.", also="PREFECT_EVENTS_MAXIMUM_LABELS_PER_RESOURCE"
    )
    maximum_related_resources: int = field(
        100, "Related resources that an event may have.", also="PREFECT_EVENTS_MAXIMUM_RELATED_RESOURCES"
    )
    maximum_size_bytes: int = field(
        1_500_000, "Bytes of JSON an event may take.", also="PREFECT_EVENTS_MAXIMUM_SIZE_BYTES"
    )
    expired_bucket_buffer: timedelta = field(
        timedelta(minutes=1),
        "How long expired buckets of automations are kept.",
        also="PREFECT_EVENTS_EXPIRED_BUCKET_BUFFER",
    )
    proactive_granularity: timedelta = field(
        timedelta(seconds=5),
        "How often proactive automations are evaluated.",
        also="PREFECT_EVENTS_PROACTIVE_GRANULARITY",
    )
    retention_period: timedelta = field(
        timedelta(days=7), "How long events are kept.", also="PREFECT_EVENTS_RETENTION_PERIOD"
    )
    maximum_websocket_backfill: timedelta = field(
        timedelta(minutes=15),
        "How far back a subscriber may ask for events.",
        also="PREFECT_EVENTS_MAXIMUM_WEBSOCKET_BACKFILL",
    )
    websocket_backfill_page_size: int = field(
        250, "Events per page of a subscriber's backfill.", also="PREFECT_EVENTS_WEBSOCKET_BACKFILL_PAGE_SIZE", gt=0
    )
    messaging_broker: str = field(
        "prefect.server.utilities.messaging.memory",
        "Broker of events; Prefect's module names stand for the kernel's own brokers.",
        also="PREFECT_MESSAGING_BROKER",
    )
    messaging_cache: str = field(
        "prefect.server.utilities.messaging.memory",
        UNUSED + "where the broker remembers which messages it has seen.",
        also="PREFECT_MESSAGING_CACHE",
    )
    causal_ordering: str = field(
        "prefect.server.events.ordering.memory", UNUSED + "what puts events into causal order."
    )
    maximum_event_name_length: int = field(1024, "Characters an event's name may have.", gt=0)


class ServerFlowRunGraphSettings(Group):
    """The graph of a flow run."""

    max_nodes: int = field(10000, "Nodes a graph may have.", also="PREFECT_API_MAX_FLOW_RUN_GRAPH_NODES")
    max_artifacts: int = field(10000, "Artifacts a graph may show.", also="PREFECT_API_MAX_FLOW_RUN_GRAPH_ARTIFACTS")


class ServerLogsSettings(Group):
    """Streams of logs."""

    stream_out_enabled: bool = field(False, "Whether clients may subscribe to logs.")
    stream_publishing_enabled: bool = field(False, "Whether logs are published for subscribers.")


class ServerTasksSchedulingSettings(Group):
    """Queues of background tasks."""

    max_scheduled_queue_size: int = field(
        1000, "Scheduled task runs that one queue holds.", also="PREFECT_TASK_SCHEDULING_MAX_SCHEDULED_QUEUE_SIZE"
    )
    max_retry_queue_size: int = field(
        100, "Task runs waiting for a retry that one queue holds.", also="PREFECT_TASK_SCHEDULING_MAX_RETRY_QUEUE_SIZE"
    )
    pending_task_timeout: timedelta = field(
        timedelta(),
        UNUSED + "how long a task run may stay pending before it is scheduled again; 0 never does.",
        also="PREFECT_TASK_SCHEDULING_PENDING_TASK_TIMEOUT",
    )


class ServerTasksSettings(Group):
    """Task runs."""

    tag_concurrency_slot_wait_seconds: float = field(
        10,
        "Seconds before a task run tries again for a slot of its tags.",
        also="PREFECT_TASK_RUN_TAG_CONCURRENCY_SLOT_WAIT_SECONDS",
        ge=0,
    )
    max_cache_key_length: int = field(
        2000, "Characters a cache key may have.", also="PREFECT_API_TASK_CACHE_KEY_MAX_LENGTH"
    )
    scheduling: ServerTasksSchedulingSettings


class ServerUiSettings(Group):
    """The web interface."""

    enabled: bool = field(True, "Whether the interface is served.", also="PREFECT_UI_ENABLED")
    v2_enabled: bool = field(True, "Whether browsers without a preference get its second version.")
    api_url: str | None = field(
        None,
        "URL of the API for browsers; unset, it is `PREFECT_API_URL` or made from host and port.",
        also="PREFECT_UI_API_URL",
    )
    serve_base: str = field("/", "Path under which the interface is served.", also="PREFECT_UI_SERVE_BASE")
    static_directory: str | None = field(
        None, "Directory to serve the interface from.", also="PREFECT_UI_STATIC_DIRECTORY"
    )
    show_promotional_content: bool = field(True, "Whether the interface may advertise.")


class ServerWorkerChannelSettings(Group):
    """The channel on which workers are told to clean up."""

    cleanup_queue_storage: str = field(
        "prefect.server.worker_communication.cleanup_queue.memory", UNUSED + "where clean-up messages are kept."
    )
    cleanup_lease_seconds: float = field(30.0, "Seconds a worker has for a message it took.", gt=0)
    cleanup_max_delivery_attempts: int = field(3, "Deliveries before a message is put aside as dead.", ge=1)
    cleanup_completed_idempotency_retention_seconds: float | None = field(
        None, "Seconds for which finished messages are remembered; unset keeps them while the server runs.", ge=0
    )


class ServerSettings(Group):
    """The server."""

    logging_level: LogLevel = field("WARNING", "Level of the server's logs.", also="PREFECT_LOGGING_SERVER_LEVEL")
    analytics_enabled: bool = field(True, "Read for compatibility; the kernel sends no usage data anywhere.")
    metrics_enabled: bool = field(False, "Whether `/api/metrics` is served.", also="PREFECT_API_ENABLE_METRICS")
    log_retryable_errors: bool = field(
        False,
        UNUSED + "whether errors that clients are told to retry are logged.",
        also="PREFECT_API_LOG_RETRYABLE_ERRORS",
    )
    register_blocks_on_start: bool = field(
        True, "Whether start registers the built-in block types.", also="PREFECT_API_BLOCKS_REGISTER_ON_START"
    )
    memoize_block_auto_registration: bool = field(
        True,
        UNUSED + "whether registration is skipped when the block types have not changed.",
        also="PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION",
    )
    memo_store_path: Path = field(
        Path("$PREFECT_HOME/memo_store.toml"),
        UNUSED + "file that remembers the registered block types.",
        also="PREFECT_MEMO_STORE_PATH",
    )
    deployment_schedule_max_scheduled_runs: int = field(
        50, "Upper bound of `max_scheduled_runs` of a schedule.", also="PREFECT_DEPLOYMENT_SCHEDULE_MAX_SCHEDULED_RUNS"
    )
    api: ServerApiSettings
    concurrency: ServerConcurrencySettings
    database: ServerDatabaseSettings
    deployments: ServerDeploymentsSettings
    docket: ServerDocketSettings
    ephemeral: ServerEphemeralSettings
    events: ServerEventsSettings
    flow_run_graph: ServerFlowRunGraphSettings
    logs: ServerLogsSettings
    services: ServicesSettings
    tasks: ServerTasksSettings
    ui: ServerUiSettings
    worker_channel: ServerWorkerChannelSettings
