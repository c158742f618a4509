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

