-- Programs started with `aegis run`: which process each is, and whose key it was given.

CREATE TABLE workloads (
    run_id TEXT PRIMARY KEY,
    pid BIGINT NOT NULL,
    started BIGINT NOT NULL,
    boot TEXT NOT NULL,
    command TEXT NOT NULL,
    key_name TEXT NOT NULL,
    team TEXT NOT NULL,
    labels TEXT NOT NULL,
    registered_us BIGINT NOT NULL,
    ended_us BIGINT,
    exit_code BIGINT
);

CREATE INDEX workloads_running ON workloads (registered_us) WHERE ended_us IS NULL;
