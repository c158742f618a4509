-- The kernel_… tables on postgresql: `kernel_migrations` from its beginning to its head.
-- Written by `python -m conformance.kernel_schema`; not to be edited. A blank line ends each statement.

CREATE TABLE kernel_alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT kernel_alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE kernel_event_outbox (
    seq BIGSERIAL NOT NULL, 
    id UUID NOT NULL, 
    event TEXT NOT NULL, 
    created TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP NOT NULL, 
    PRIMARY KEY (seq)
);

CREATE TABLE kernel_migration (
    plugin VARCHAR NOT NULL, 
    revision VARCHAR NOT NULL, 
    applied TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP NOT NULL, 
    CONSTRAINT pk_kernel_migration PRIMARY KEY (plugin, revision)
);

INSERT INTO kernel_alembic_version (version_num) VALUES ('0001');

DROP INDEX IF EXISTS kernel_ix_flow_run__state_type_expected_start;

CREATE INDEX kernel_ix_flow_run__state_type_expected_start ON flow_run (state_type, expected_start_time);

DROP INDEX IF EXISTS kernel_ix_flow_run__deployment_id_start;

CREATE INDEX kernel_ix_flow_run__deployment_id_start ON flow_run (deployment_id, coalesce(start_time, expected_start_time));

DROP INDEX IF EXISTS kernel_ix_flow_run__flow_id_start;

CREATE INDEX kernel_ix_flow_run__flow_id_start ON flow_run (flow_id, coalesce(start_time, expected_start_time));

UPDATE kernel_alembic_version SET version_num='0002' WHERE kernel_alembic_version.version_num = '0001';

UPDATE kernel_alembic_version SET version_num='0003' WHERE kernel_alembic_version.version_num = '0002';

CREATE TABLE kernel_task_claim (
    task_run_id UUID NOT NULL, 
    state_id UUID NOT NULL, 
    expires TIMESTAMP WITH TIME ZONE, 
    PRIMARY KEY (task_run_id)
);

UPDATE kernel_alembic_version SET version_num='0004' WHERE kernel_alembic_version.version_num = '0003';

CREATE TABLE kernel_flow_run_tally (
    span INTEGER NOT NULL, 
    start BIGINT NOT NULL, 
    state_type VARCHAR NOT NULL, 
    state_name VARCHAR NOT NULL, 
    runs BIGINT NOT NULL, 
    run_time NUMERIC NOT NULL, 
    since NUMERIC NOT NULL, 
    lateness NUMERIC NOT NULL, 
    overdue BIGINT NOT NULL, 
    overdue_since NUMERIC NOT NULL, 
    CONSTRAINT pk_kernel_flow_run_tally PRIMARY KEY (span, start, state_type, state_name)
);

CREATE TABLE kernel_flow_run_stale (
    minute BIGINT NOT NULL, 
    writer INTEGER DEFAULT pg_backend_pid() NOT NULL, 
    CONSTRAINT pk_kernel_flow_run_stale PRIMARY KEY (minute, writer)
);

CREATE OR REPLACE FUNCTION kernel_flow_run_stale() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN IF TG_OP <> 'INSERT' THEN IF OLD.expected_start_time IS NOT NULL THEN INSERT INTO kernel_flow_run_stale (minute) VALUES (floor(extract(epoch FROM OLD.expected_start_time) / 60)) ON CONFLICT DO NOTHING; END IF; END IF; IF TG_OP <> 'DELETE' THEN IF NEW.expected_start_time IS NOT NULL THEN INSERT INTO kernel_flow_run_stale (minute) VALUES (floor(extract(epoch FROM NEW.expected_start_time) / 60)) ON CONFLICT DO NOTHING; END IF; END IF; RETURN NULL; END $$;

DROP TRIGGER IF EXISTS kernel_flow_run_stale_change ON flow_run;

CREATE TRIGGER kernel_flow_run_stale_change AFTER INSERT OR UPDATE OF expected_start_time, start_time, state_type, state_name, state_timestamp, total_run_time ON flow_run FOR EACH ROW EXECUTE FUNCTION kernel_flow_run_stale();

DROP TRIGGER IF EXISTS kernel_flow_run_stale_delete ON flow_run;

CREATE TRIGGER kernel_flow_run_stale_delete AFTER DELETE ON flow_run FOR EACH ROW EXECUTE FUNCTION kernel_flow_run_stale();

INSERT INTO kernel_flow_run_stale (minute) SELECT DISTINCT floor(extract(epoch FROM expected_start_time) / 60) FROM flow_run WHERE expected_start_time IS NOT NULL ON CONFLICT DO NOTHING;

UPDATE kernel_alembic_version SET version_num='0005' WHERE kernel_alembic_version.version_num = '0004';

DROP INDEX IF EXISTS kernel_ix_flow_run__queue_next;

CREATE INDEX kernel_ix_flow_run__queue_next ON flow_run (work_queue_id, state_type, next_scheduled_start_time) WHERE work_queue_id IS NOT NULL;

DROP INDEX IF EXISTS kernel_ix_flow_run__deployment_next;

CREATE INDEX kernel_ix_flow_run__deployment_next ON flow_run (deployment_id, next_scheduled_start_time) WHERE state_type = 'SCHEDULED';

DROP INDEX IF EXISTS kernel_ix_deployment__readiness;

CREATE INDEX kernel_ix_deployment__readiness ON deployment (work_queue_id, status, last_polled);

UPDATE kernel_alembic_version SET version_num='0006' WHERE kernel_alembic_version.version_num = '0005';

CREATE TABLE kernel_trigger_event (
    seq BIGSERIAL NOT NULL, 
    event_id UUID NOT NULL, 
    PRIMARY KEY (seq)
);

CREATE TABLE kernel_proactive_run (
    trigger_id UUID NOT NULL, 
    due TIMESTAMP WITH TIME ZONE NOT NULL, 
    PRIMARY KEY (trigger_id)
);

CREATE TABLE kernel_automation_firing (
    id UUID NOT NULL, 
    automation_id UUID NOT NULL, 
    fired TIMESTAMP WITH TIME ZONE NOT NULL, 
    event_id UUID NOT NULL, 
    automation TEXT NOT NULL, 
    firing TEXT NOT NULL, 
    PRIMARY KEY (id)
);

CREATE TABLE kernel_automation_action (
    id UUID NOT NULL, 
    firing_id UUID NOT NULL, 
    automation_id UUID NOT NULL, 
    number INTEGER NOT NULL, 
    action TEXT NOT NULL, 
    event TEXT, 
    status VARCHAR NOT NULL, 
    attempts INTEGER NOT NULL, 
    due TIMESTAMP WITH TIME ZONE NOT NULL, 
    error TEXT, 
    created TIMESTAMP WITH TIME ZONE NOT NULL, 
    updated TIMESTAMP WITH TIME ZONE NOT NULL, 
    PRIMARY KEY (id)
);

CREATE INDEX kernel_ix_automation_firing__automation_fired ON kernel_automation_firing (automation_id, fired);

CREATE INDEX kernel_ix_automation_firing__fired ON kernel_automation_firing (fired);

CREATE INDEX kernel_ix_automation_action__firing ON kernel_automation_action (firing_id);

CREATE INDEX kernel_ix_automation_action__due ON kernel_automation_action (due) WHERE status = 'pending';

UPDATE kernel_alembic_version SET version_num='0007' WHERE kernel_alembic_version.version_num = '0006';

CREATE TABLE kernel_lease (
    lease_id UUID NOT NULL, 
    number INTEGER NOT NULL, 
    limit_id UUID, 
    slots INTEGER NOT NULL, 
    created TIMESTAMP WITH TIME ZONE NOT NULL, 
    expires TIMESTAMP WITH TIME ZONE NOT NULL, 
    holder_type VARCHAR, 
    holder_id UUID, 
    PRIMARY KEY (lease_id, number)
);

CREATE INDEX kernel_ix_lease__expires ON kernel_lease (expires) WHERE number = 0;

CREATE INDEX kernel_ix_lease__limit ON kernel_lease (limit_id) WHERE limit_id IS NOT NULL;

CREATE INDEX kernel_ix_lease__holder ON kernel_lease (holder_id) WHERE holder_id IS NOT NULL;

UPDATE kernel_alembic_version SET version_num='0008' WHERE kernel_alembic_version.version_num = '0007';

CREATE TABLE kernel_api_key (
    id UUID NOT NULL, 
    created TIMESTAMP WITH TIME ZONE NOT NULL, 
    name VARCHAR NOT NULL, 
    digest VARCHAR NOT NULL, 
    hint VARCHAR NOT NULL, 
    scope VARCHAR NOT NULL, 
    expires TIMESTAMP WITH TIME ZONE, 
    created_by VARCHAR, 
    PRIMARY KEY (id)
);

CREATE TABLE kernel_user (
    id UUID NOT NULL, 
    created TIMESTAMP WITH TIME ZONE NOT NULL, 
    updated TIMESTAMP WITH TIME ZONE NOT NULL, 
    name VARCHAR NOT NULL, 
    password VARCHAR NOT NULL, 
    role VARCHAR NOT NULL, 
    enabled BOOLEAN NOT NULL, 
    PRIMARY KEY (id)
);

CREATE TABLE kernel_audit (
    seq BIGSERIAL NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    request_id UUID NOT NULL, 
    actor VARCHAR NOT NULL, 
    way VARCHAR NOT NULL, 
    client VARCHAR, 
    permission VARCHAR NOT NULL, 
    operation VARCHAR NOT NULL, 
    method VARCHAR NOT NULL, 
    path VARCHAR NOT NULL, 
    object VARCHAR, 
    status INTEGER, 
    PRIMARY KEY (seq)
);

CREATE UNIQUE INDEX kernel_uq_api_key__name ON kernel_api_key (name);

CREATE UNIQUE INDEX kernel_uq_api_key__digest ON kernel_api_key (digest);

CREATE UNIQUE INDEX kernel_uq_user__name ON kernel_user (name);

CREATE INDEX kernel_ix_audit__at ON kernel_audit (at);

CREATE INDEX kernel_ix_audit__actor_seq ON kernel_audit (actor, seq);

CREATE INDEX kernel_ix_audit__object_seq ON kernel_audit (object, seq);

UPDATE kernel_alembic_version SET version_num='0009' WHERE kernel_alembic_version.version_num = '0008';

CREATE TABLE kernel_webhook (
    id UUID NOT NULL, 
    created TIMESTAMP WITH TIME ZONE NOT NULL, 
    updated TIMESTAMP WITH TIME ZONE NOT NULL, 
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
    id UUID NOT NULL, 
    created TIMESTAMP WITH TIME ZONE NOT NULL, 
    updated TIMESTAMP WITH TIME ZONE NOT NULL, 
    deployment_id UUID NOT NULL, 
    name VARCHAR NOT NULL, 
    severity VARCHAR NOT NULL, 
    enabled BOOLEAN NOT NULL, 
    kind VARCHAR NOT NULL, 
    seconds FLOAT(53) NOT NULL, 
    PRIMARY KEY (id)
);

CREATE TABLE kernel_sla_violation (
    sla_id UUID NOT NULL, 
    subject_id UUID NOT NULL, 
    event_id UUID NOT NULL, 
    occurred TIMESTAMP WITH TIME ZONE NOT NULL, 
    cleared TIMESTAMP WITH TIME ZONE, 
    PRIMARY KEY (sla_id, subject_id)
);

CREATE UNIQUE INDEX kernel_uq_webhook__slug ON kernel_webhook (slug);

CREATE UNIQUE INDEX kernel_uq_sla__deployment_name ON kernel_sla (deployment_id, name);

CREATE INDEX kernel_ix_sla_violation__sla_open ON kernel_sla_violation (sla_id) WHERE cleared IS NULL;

UPDATE kernel_alembic_version SET version_num='0010' WHERE kernel_alembic_version.version_num = '0009';

DROP INDEX IF EXISTS kernel_ix_flow_run__due;

CREATE INDEX kernel_ix_flow_run__due ON flow_run (state_name, next_scheduled_start_time) WHERE state_type = 'SCHEDULED' AND state_name = 'Scheduled';

UPDATE kernel_alembic_version SET version_num='0011' WHERE kernel_alembic_version.version_num = '0010';

ALTER TABLE kernel_task_claim ADD COLUMN token UUID;

UPDATE kernel_alembic_version SET version_num='0012' WHERE kernel_alembic_version.version_num = '0011';

CREATE TABLE kernel_flow_run_count (
    backend INTEGER NOT NULL, 
    runs BIGINT NOT NULL, 
    CONSTRAINT pk_kernel_flow_run_count PRIMARY KEY (backend)
);

CREATE OR REPLACE FUNCTION kernel_flow_run_count() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ DECLARE number BIGINT; made BOOLEAN; BEGIN IF TG_OP = 'TRUNCATE' THEN DELETE FROM kernel_flow_run_count WHERE backend <> 0; UPDATE kernel_flow_run_count SET runs = 0; RETURN NULL; END IF; SELECT count(*) INTO number FROM changed; IF number = 0 THEN RETURN NULL; END IF; IF TG_OP = 'DELETE' THEN number := -number; END IF; INSERT INTO kernel_flow_run_count AS c (backend, runs) VALUES (pg_backend_pid(), number) ON CONFLICT (backend) DO UPDATE SET runs = c.runs + excluded.runs RETURNING xmax = 0 INTO made; IF made AND (SELECT count(*) FROM kernel_flow_run_count) > 64 THEN PERFORM FROM kernel_flow_run_count WHERE backend = 0 FOR UPDATE SKIP LOCKED; IF FOUND THEN WITH ended AS (DELETE FROM kernel_flow_run_count WHERE backend IN (SELECT backend FROM kernel_flow_run_count WHERE backend <> 0 AND backend NOT IN (SELECT pid FROM pg_stat_activity WHERE pid IS NOT NULL) FOR UPDATE SKIP LOCKED) RETURNING runs) UPDATE kernel_flow_run_count SET runs = runs + (SELECT coalesce(sum(runs), 0) FROM ended) WHERE backend = 0; END IF; END IF; RETURN NULL; END $$;

DROP TRIGGER IF EXISTS kernel_flow_run_count_insert ON flow_run;

CREATE TRIGGER kernel_flow_run_count_insert AFTER INSERT ON flow_run REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION kernel_flow_run_count();

DROP TRIGGER IF EXISTS kernel_flow_run_count_delete ON flow_run;

CREATE TRIGGER kernel_flow_run_count_delete AFTER DELETE ON flow_run REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION kernel_flow_run_count();

DROP TRIGGER IF EXISTS kernel_flow_run_count_truncate ON flow_run;

CREATE TRIGGER kernel_flow_run_count_truncate AFTER TRUNCATE ON flow_run FOR EACH STATEMENT EXECUTE FUNCTION kernel_flow_run_count();

INSERT INTO kernel_flow_run_count (backend, runs) SELECT 0, count(*) FROM flow_run;

UPDATE kernel_alembic_version SET version_num='0013' WHERE kernel_alembic_version.version_num = '0012';

ALTER TABLE kernel_webhook ADD COLUMN timestamp_header VARCHAR;

ALTER TABLE kernel_webhook ADD COLUMN tolerance_seconds INTEGER;

UPDATE kernel_alembic_version SET version_num='0014' WHERE kernel_alembic_version.version_num = '0013';

