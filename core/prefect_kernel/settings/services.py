"""Settings of the background services."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from .fields import UNUSED, Group, Seconds, field

_KINDS = frozenset({"events", "flow_runs", "orphans"})


def _read_kinds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if text in ("true", "1"):
        return True
    if text in ("false", "0", ""):
        return False
    return {part.strip() for part in value.split(",") if part.strip()}


def _positive(value: dict[str, timedelta]) -> dict[str, timedelta]:
    for name, period in value.items():
        if period <= timedelta():
            raise ValueError(f"the period for {name!r} must be greater than 0")
    return value


def _known_kinds(value: Any) -> Any:
    unknown = value - _KINDS if isinstance(value, set) else set()
    if unknown:
        raise ValueError(f"there is no {min(unknown)!r}; known are {', '.join(sorted(_KINDS))}")
    return value


Vacuums = Annotated[set[str] | bool | None, BeforeValidator(_read_kinds), AfterValidator(_known_kinds)]
Retentions = Annotated[dict[str, Seconds], AfterValidator(_positive)]


class CancellationCleanupSettings(Group):
    """Cancels what is left of cancelled flow runs."""

    enabled: bool = field(True, "Whether the service runs.", also="PREFECT_API_SERVICES_CANCELLATION_CLEANUP_ENABLED")
    loop_seconds: float = field(
        20, "Seconds between rounds.", also="PREFECT_API_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS"
    )
    cancelling_timeout_seconds: float = field(
        300, "Seconds a run may be cancelling before its infrastructure is cleaned up.", gt=0
    )


class DbVacuumSettings(Group):
    """Deletes what is past its retention."""

    enabled: Vacuums = field(
        frozenset({"events"}),
        "What is deleted: `events`, `flow_runs`, `orphans`, separated by commas; true is all, false is `events`.",
    )
    loop_seconds: float = field(3600, "Seconds between rounds.", gt=0)
    orphan_cleanup_loop_seconds: float = field(
        86400, "Seconds between searches for logs and artifacts without a run.", gt=0
    )
    retention_period: Seconds = field(
        timedelta(days=90), "How long after its end a flow run is kept.", gt=timedelta(hours=1)
    )
    batch_size: int = field(200, "Rows per transaction.", gt=0)
    event_retention_overrides: Retentions = field(
        {"prefect.flow-run.heartbeat": timedelta(days=7)},
        "How long events of a given name are kept, as JSON; others follow the general retention.",
    )

    @property
    def kinds(self) -> frozenset[str]:
        """What is deleted. Deleting flow runs implies what they leave behind; false has always meant `events`."""
        if self.enabled is None:
            return frozenset()
        if isinstance(self.enabled, bool):
            return _KINDS if self.enabled else frozenset({"events"})
        return frozenset(self.enabled) | ({"orphans"} if "flow_runs" in self.enabled else set())


class EventPersisterSettings(Group):
    """Writes events to the database."""

    enabled: bool = field(True, "Whether the service runs.", also="PREFECT_API_SERVICES_EVENT_PERSISTER_ENABLED")
    batch_size: int = field(20, "Events per batch.", also="PREFECT_API_SERVICES_EVENT_PERSISTER_BATCH_SIZE", gt=0)
    read_batch_size: int = field(
        1,
        UNUSED + "messages taken from the broker at once.",
        also="PREFECT_API_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE",
        gt=0,
    )
    flush_interval: float = field(
        5,
        "Seconds after which an unfinished batch is written.",
        also="PREFECT_API_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL",
        gt=0,
    )
    queue_max_size: int = field(50000, UNUSED + "events that may wait; further ones are dropped.", gt=0)
    max_flush_retries: int = field(5, UNUSED + "failures in a row before a batch is dropped.", gt=0)


class EventLoggerSettings(Group):
    """Writes each event to the server's log."""

    enabled: bool = field(False, "Whether the service runs.", also="PREFECT_API_SERVICES_EVENT_LOGGER_ENABLED")


class ForemanSettings(Group):
    """Marks workers, work pools and deployments that went silent."""

    enabled: bool = field(True, "Whether the service runs.", also="PREFECT_API_SERVICES_FOREMAN_ENABLED")
    loop_seconds: float = field(15, "Seconds between rounds.", also="PREFECT_API_SERVICES_FOREMAN_LOOP_SECONDS")
    inactivity_heartbeat_multiple: int = field(
        3,
        "Missed heartbeats that make a worker offline.",
        also="PREFECT_API_SERVICES_FOREMAN_INACTIVITY_HEARTBEAT_MULTIPLE",
    )
    fallback_heartbeat_interval_seconds: int = field(
        30,
        "Heartbeat interval of workers that name none.",
        also="PREFECT_API_SERVICES_FOREMAN_FALLBACK_HEARTBEAT_INTERVAL_SECONDS",
    )
    deployment_last_polled_timeout_seconds: int = field(
        60,
        "Seconds without a poll that make a deployment not ready.",
        also="PREFECT_API_SERVICES_FOREMAN_DEPLOYMENT_LAST_POLLED_TIMEOUT_SECONDS",
    )
    work_queue_last_polled_timeout_seconds: int = field(
        60,
        "Seconds without a poll that make a work queue not ready.",
        also="PREFECT_API_SERVICES_FOREMAN_WORK_QUEUE_LAST_POLLED_TIMEOUT_SECONDS",
    )


class LateRunsSettings(Group):
    """Marks scheduled runs that did not start."""

    enabled: bool = field(True, "Whether the service runs.", also="PREFECT_API_SERVICES_LATE_RUNS_ENABLED")
    loop_seconds: float = field(5, "Seconds between rounds.", also="PREFECT_API_SERVICES_LATE_RUNS_LOOP_SECONDS")
    after_seconds: Seconds = field(
        timedelta(seconds=15), "How late a run must be.", also="PREFECT_API_SERVICES_LATE_RUNS_AFTER_SECONDS"
    )


class SchedulerSettings(Group):
    """Makes runs from the schedules of deployments."""

    enabled: bool = field(True, "Whether the service runs.", also="PREFECT_API_SERVICES_SCHEDULER_ENABLED")
    loop_seconds: float = field(60, "Seconds between rounds.", also="PREFECT_API_SERVICES_SCHEDULER_LOOP_SECONDS")
    deployment_batch_size: int = field(
        100, "Deployments per batch.", also="PREFECT_API_SERVICES_SCHEDULER_DEPLOYMENT_BATCH_SIZE"
    )
    max_runs: int = field(
        100, "Runs that a schedule has ahead at most.", also="PREFECT_API_SERVICES_SCHEDULER_MAX_RUNS"
    )
    min_runs: int = field(3, "Runs that a schedule has ahead at least.", also="PREFECT_API_SERVICES_SCHEDULER_MIN_RUNS")
    max_scheduled_time: timedelta = field(
        timedelta(days=100),
        "How far ahead runs are made at most.",
        also="PREFECT_API_SERVICES_SCHEDULER_MAX_SCHEDULED_TIME",
    )
    min_scheduled_time: timedelta = field(
        timedelta(hours=1),
        "How far ahead runs are made at least.",
        also="PREFECT_API_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME",
    )
    insert_batch_size: int = field(500, "Runs per insert.", also="PREFECT_API_SERVICES_SCHEDULER_INSERT_BATCH_SIZE")
    recent_deployments_loop_seconds: float = field(5, "Seconds between rounds over deployments that changed just now.")


class PauseExpirationsSettings(Group):
    """Fails paused runs whose time is up."""

    enabled: bool = field(True, "Whether the service runs.", also="PREFECT_API_SERVICES_PAUSE_EXPIRATIONS_ENABLED")
    loop_seconds: float = field(
        5, "Seconds between rounds.", also="PREFECT_API_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS"
    )


class RepossessorSettings(Group):
    """Takes back slots whose lease ended."""

    enabled: bool = field(True, "Whether the service runs.")
    loop_seconds: float = field(15, "Seconds between rounds.")


class CleanupReconcilerSettings(Group):
    """Recreates clean-up messages that were lost."""

    enabled: bool = field(True, "Whether the service runs.")
    loop_seconds: float = field(5, "Seconds between rounds.", gt=0)
    batch_size: int = field(100, "Rows per transaction.", gt=0)


class TaskRunRecorderSettings(Group):
    """Records task runs from the events of clients."""

    enabled: bool = field(True, "Whether the service runs.", also="PREFECT_API_SERVICES_TASK_RUN_RECORDER_ENABLED")
    read_batch_size: int = field(1, UNUSED + "messages taken from the broker at once.", gt=0)
    batch_size: int = field(1, "Events per batch.", gt=0)
    flush_interval: float = field(5, "Seconds after which an unfinished batch is written.", gt=0)


class TriggersSettings(Group):
    """Evaluates the triggers of automations."""

    enabled: bool = field(True, "Whether the service runs.", also="PREFECT_API_SERVICES_TRIGGERS_ENABLED")
    read_batch_size: int = field(1, UNUSED + "messages taken from the broker at once.", gt=0)
    pg_notify_reconnect_interval_seconds: int = field(
        10, UNUSED + "seconds before a lost PostgreSQL listener is opened again."
    )
    pg_notify_heartbeat_interval_seconds: int = field(5, UNUSED + "seconds between checks of the PostgreSQL listener.")


class ServicesSettings(Group):
    """Background services."""

    cancellation_cleanup: CancellationCleanupSettings
    db_vacuum: DbVacuumSettings
    event_persister: EventPersisterSettings
    event_logger: EventLoggerSettings
    foreman: ForemanSettings
    late_runs: LateRunsSettings
    scheduler: SchedulerSettings
    pause_expirations: PauseExpirationsSettings
    repossessor: RepossessorSettings
    cleanup_reconciler: CleanupReconcilerSettings
    task_run_recorder: TaskRunRecorderSettings
    triggers: TriggersSettings
