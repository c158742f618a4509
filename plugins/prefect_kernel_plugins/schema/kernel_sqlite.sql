-- The kernel_… tables on sqlite: `kernel_migrations` from its beginning to its head.
-- Written by `python -m conformance.kernel_schema`; not to be edited. A blank line ends each statement.

CREATE TABLE kernel_alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT kernel_alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE kernel_event_outbox (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
    id CHAR(36) NOT NULL, 
    event TEXT NOT NULL, 
    created DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')) NOT NULL
);

CREATE TABLE kernel_migration (
    plugin VARCHAR NOT NULL, 
    revision VARCHAR NOT NULL, 
    applied DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')) NOT NULL, 
    CONSTRAINT pk_kernel_migration PRIMARY KEY (plugin, revision)
);

INSERT INTO kernel_alembic_version (version_num) VALUES ('0001');

CREATE INDEX IF NOT EXISTS kernel_ix_flow_run__start ON flow_run (coalesce(start_time, expected_start_time));

CREATE INDEX IF NOT EXISTS kernel_ix_flow_run__state_type_expected_start ON flow_run (state_type, expected_start_time);

CREATE INDEX IF NOT EXISTS kernel_ix_flow_run__deployment_id_start ON flow_run (deployment_id, coalesce(start_time, expected_start_time));

CREATE INDEX IF NOT EXISTS kernel_ix_flow_run__flow_id_start ON flow_run (flow_id, coalesce(start_time, expected_start_time));

UPDATE kernel_alembic_version SET version_num='0002' WHERE kernel_alembic_version.version_num = '0001';

CREATE INDEX IF NOT EXISTS kernel_ix_flow_run__history ON flow_run (state_type, state_name, expected_start_time, start_time, total_run_time, state_timestamp);

UPDATE kernel_alembic_version SET version_num='0003' WHERE kernel_alembic_version.version_num = '0002';

CREATE TABLE kernel_task_claim (
    task_run_id CHAR(36) NOT NULL, 
    state_id CHAR(36) NOT NULL, 
    expires DATETIME, 
    PRIMARY KEY (task_run_id)
);

UPDATE kernel_alembic_version SET version_num='0004' WHERE kernel_alembic_version.version_num = '0003';

CREATE TABLE kernel_flow_run_tally (
    span INTEGER NOT NULL, 
    start BIGINT NOT NULL, 
    state_type VARCHAR NOT NULL, 
    state_name VARCHAR NOT NULL, 
    runs BIGINT NOT NULL, 
    run_time INTEGER NOT NULL, 
    since INTEGER NOT NULL, 
    lateness INTEGER NOT NULL, 
    overdue BIGINT NOT NULL, 
    overdue_since INTEGER NOT NULL, 
    CONSTRAINT pk_kernel_flow_run_tally PRIMARY KEY (span, start, state_type, state_name)
)
 WITHOUT ROWID;

DROP INDEX IF EXISTS kernel_ix_flow_run__history;

CREATE TABLE kernel_flow_run_stale (
    minute INTEGER NOT NULL, 
    PRIMARY KEY (minute)
);

DROP TRIGGER IF EXISTS kernel_flow_run_stale_insert;

CREATE TRIGGER kernel_flow_run_stale_insert AFTER INSERT ON flow_run BEGIN
    INSERT INTO kernel_flow_run_stale (minute) SELECT CAST(strftime('%s', NEW.expected_start_time) AS INTEGER) / 60 WHERE NEW.expected_start_time IS NOT NULL AND NOT EXISTS (SELECT 1 FROM kernel_flow_run_stale WHERE minute = CAST(strftime('%s', NEW.expected_start_time) AS INTEGER) / 60);
END;

DROP TRIGGER IF EXISTS kernel_flow_run_stale_update;

CREATE TRIGGER kernel_flow_run_stale_update AFTER UPDATE OF expected_start_time, start_time, state_type, state_name, state_timestamp, total_run_time ON flow_run BEGIN
    INSERT INTO kernel_flow_run_stale (minute) SELECT CAST(strftime('%s', OLD.expected_start_time) AS INTEGER) / 60 WHERE OLD.expected_start_time IS NOT NULL AND NOT EXISTS (SELECT 1 FROM kernel_flow_run_stale WHERE minute = CAST(strftime('%s', OLD.expected_start_time) AS INTEGER) / 60);
    INSERT INTO kernel_flow_run_stale (minute) SELECT CAST(strftime('%s', NEW.expected_start_time) AS INTEGER) / 60 WHERE NEW.expected_start_time IS NOT NULL AND NOT EXISTS (SELECT 1 FROM kernel_flow_run_stale WHERE minute = CAST(strftime('%s', NEW.expected_start_time) AS INTEGER) / 60) AND NEW.expected_start_time IS NOT OLD.expected_start_time;
END;

DROP TRIGGER IF EXISTS kernel_flow_run_stale_delete;

CREATE TRIGGER kernel_flow_run_stale_delete AFTER DELETE ON flow_run BEGIN
    INSERT INTO kernel_flow_run_stale (minute) SELECT CAST(strftime('%s', OLD.expected_start_time) AS INTEGER) / 60 WHERE OLD.expected_start_time IS NOT NULL AND NOT EXISTS (SELECT 1 FROM kernel_flow_run_stale WHERE minute = CAST(strftime('%s', OLD.expected_start_time) AS INTEGER) / 60);
END;

INSERT INTO kernel_flow_run_stale (minute) SELECT DISTINCT CAST(strftime('%s', expected_start_time) AS INTEGER) / 60 FROM flow_run WHERE expected_start_time IS NOT NULL;

UPDATE kernel_alembic_version SET version_num='0005' WHERE kernel_alembic_version.version_num = '0004';

CREATE INDEX IF NOT EXISTS kernel_ix_flow_run__queue_next ON flow_run (work_queue_id, state_type, next_scheduled_start_time) WHERE work_queue_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS kernel_ix_flow_run__deployment_next ON flow_run (deployment_id, next_scheduled_start_time) WHERE state_type = 'SCHEDULED';

CREATE INDEX IF NOT EXISTS kernel_ix_deployment__readiness ON deployment (work_queue_id, status, last_polled);

UPDATE kernel_alembic_version SET version_num='0006' WHERE kernel_alembic_version.version_num = '0005';

CREATE TABLE kernel_trigger_event (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
    event_id CHAR(36) NOT NULL
);

CREATE TABLE kernel_proactive_run (
    trigger_id CHAR(36) NOT NULL, 
    due DATETIME NOT NULL, 
    PRIMARY KEY (trigger_id)
);

CREATE TABLE kernel_automation_firing (
    id CHAR(36) NOT NULL, 
    automation_id CHAR(36) NOT NULL, 
    fired DATETIME NOT NULL, 
    event_id CHAR(36) NOT NULL, 
    automation TEXT NOT NULL, 
    firing TEXT NOT NULL, 
    PRIMARY KEY (id)
);

CREATE TABLE kernel_automation_action (
    id CHAR(36) NOT NULL, 
    firing_id CHAR(36) NOT NULL, 
    automation_id CHAR(36) NOT NULL, 
    number INTEGER NOT NULL, 
    action TEXT NOT NULL, 
    event TEXT, 
    status VARCHAR NOT NULL, 
    attempts INTEGER NOT NULL, 
    due DATETIME NOT NULL, 
    error TEXT, 
    created DATETIME NOT NULL, 
    updated DATETIME NOT NULL, 
    PRIMARY KEY (id)
);

CREATE INDEX IF NOT EXISTS kernel_ix_automation_firing__automation_fired ON kernel_automation_firing (automation_id, fired);

CREATE INDEX IF NOT EXISTS kernel_ix_automation_firing__fired ON kernel_automation_firing (fired);

CREATE INDEX IF NOT EXISTS kernel_ix_automation_action__firing ON kernel_automation_action (firing_id);

CREATE INDEX IF NOT EXISTS kernel_ix_automation_action__due ON kernel_automation_action (due) WHERE status = 'pending';

UPDATE kernel_alembic_version SET version_num='0007' WHERE kernel_alembic_version.version_num = '0006';

CREATE TABLE kernel_lease (
    lease_id CHAR(36) NOT NULL, 
    number INTEGER NOT NULL, 
    limit_id CHAR(36), 
    slots INTEGER NOT NULL, 
    created DATETIME NOT NULL, 
    expires DATETIME NOT NULL, 
    holder_type VARCHAR, 
    holder_id CHAR(36), 
    PRIMARY KEY (lease_id, number)
);

CREATE INDEX IF NOT EXISTS kernel_ix_lease__expires ON kernel_lease (expires) WHERE number = 0;

CREATE INDEX IF NOT EXISTS kernel_ix_lease__limit ON kernel_lease (limit_id) WHERE limit_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS kernel_ix_lease__holder ON kernel_lease (holder_id) WHERE holder_id IS NOT NULL;

UPDATE kernel_alembic_version SET version_num='0008' WHERE kernel_alembic_version.version_num = '0007';

CREATE TABLE kernel_api_key (
    id CHAR(36) NOT NULL, 
    created DATETIME NOT NULL, 
    name VARCHAR NOT NULL, 
    digest VARCHAR NOT NULL, 
    hint VARCHAR NOT NULL, 
    scope VARCHAR NOT NULL, 
    expires DATETIME, 
    created_by VARCHAR, 
    PRIMARY KEY (id)
);

CREATE TABLE kernel_user (
    id CHAR(36) NOT NULL, 
    created DATETIME NOT NULL, 
    updated DATETIME NOT NULL, 
    name VARCHAR NOT NULL, 
    password VARCHAR NOT NULL, 
    role VARCHAR NOT NULL, 
    enabled BOOLEAN NOT NULL, 
    PRIMARY KEY (id)
);

CREATE TABLE kernel_audit (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
    at DATETIME NOT NULL, 
    request_id CHAR(36) NOT NULL, 
    actor VARCHAR NOT NULL, 
    way VARCHAR NOT NULL, 
    client VARCHAR, 
    permission VARCHAR NOT NULL, 
    operation VARCHAR NOT NULL, 
    method VARCHAR NOT NULL, 
    path VARCHAR NOT NULL, 
    object VARCHAR, 
    status INTEGER
);

CREATE UNIQUE INDEX IF NOT EXISTS kernel_uq_api_key__name ON kernel_api_key (name);

CREATE UNIQUE INDEX IF NOT EXISTS kernel_uq_api_key__digest ON kernel_api_key (digest);

CREATE UNIQUE INDEX IF NOT EXISTS kernel_uq_user__name ON kernel_user (name);

CREATE INDEX IF NOT EXISTS kernel_ix_audit__at ON kernel_audit (at);

CREATE INDEX IF NOT EXISTS kernel_ix_audit__actor_seq ON kernel_audit (actor, seq);

CREATE INDEX IF NOT EXISTS kernel_ix_audit__object_seq ON kernel_audit (object, seq);

UPDATE kernel_alembic_version SET version_num='0009' WHERE kernel_alembic_version.version_num = '0008';

CREATE TABLE kernel_webhook (
    id CHAR(36) NOT NULL, 
    created DATETIME NOT NULL, 
    updated DATETIME NOT NULL, 
    slug VARCHAR NOT NULL, 
    name VARCHAR NOT NULL, 
    template TEXT NOT NULL, 
    enabled BOOLEAN NOT NULL, 
    verify VARCHAR NOT NULL, 
    header VARCHAR, 
    secret TEXT, 
    PRIMARY KEY (id)
);

CREATE TABLE kernel_sla (
    id CHAR(36) NOT NULL, 
    created DATETIME NOT NULL, 
    updated DATETIME NOT NULL, 
    deployment_id CHAR(36) NOT NULL, 
    name VARCHAR NOT NULL, 
    severity VARCHAR NOT NULL, 
    enabled BOOLEAN NOT NULL, 
    kind VARCHAR NOT NULL, 
    seconds FLOAT NOT NULL, 
    PRIMARY KEY (id)
);

CREATE TABLE kernel_sla_violation (
    sla_id CHAR(36) NOT NULL, 
    subject_id CHAR(36) NOT NULL, 
    event_id CHAR(36) NOT NULL, 
    occurred DATETIME NOT NULL, 
    cleared DATETIME, 
    PRIMARY KEY (sla_id, subject_id)
);

CREATE UNIQUE INDEX IF NOT EXISTS kernel_uq_webhook__slug ON kernel_webhook (slug);

CREATE UNIQUE INDEX IF NOT EXISTS kernel_uq_sla__deployment_name ON kernel_sla (deployment_id, name);

CREATE INDEX IF NOT EXISTS kernel_ix_sla_violation__sla_open ON kernel_sla_violation (sla_id) WHERE cleared IS NULL;

UPDATE kernel_alembic_version SET version_num='0010' WHERE kernel_alembic_version.version_num = '0009';

CREATE INDEX IF NOT EXISTS kernel_ix_flow_run__due ON flow_run (state_name, next_scheduled_start_time) WHERE state_type = 'SCHEDULED' AND state_name = 'Scheduled';

CREATE INDEX IF NOT EXISTS kernel_ix_flow_run__subflows ON flow_run (state_type, id) WHERE parent_task_run_id IS NOT NULL AND state_type IN ('PENDING', 'SCHEDULED', 'RUNNING', 'PAUSED', 'CANCELLING');

UPDATE kernel_alembic_version SET version_num='0011' WHERE kernel_alembic_version.version_num = '0010';

ALTER TABLE kernel_task_claim ADD COLUMN token CHAR(36);

UPDATE kernel_alembic_version SET version_num='0012' WHERE kernel_alembic_version.version_num = '0011';

UPDATE kernel_alembic_version SET version_num='0013' WHERE kernel_alembic_version.version_num = '0012';

ALTER TABLE kernel_webhook ADD COLUMN timestamp_header VARCHAR;

ALTER TABLE kernel_webhook ADD COLUMN tolerance_seconds INTEGER;

UPDATE kernel_alembic_version SET version_num='0014' WHERE kernel_alembic_version.version_num = '0013';

