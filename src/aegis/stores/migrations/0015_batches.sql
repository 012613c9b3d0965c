-- Files and batches that programs keep with a vendor through the gateway: whose they are, and what a batch holds. What
-- its lines can use at most stands with the file, packed: a batch is bounded by it when it is made.

CREATE TABLE gateway_files (
    upstream TEXT NOT NULL,
    file_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    made_ms BIGINT NOT NULL,
    document TEXT NOT NULL,
    lines BYTEA NOT NULL,
    PRIMARY KEY (upstream, file_id)
);
CREATE INDEX gateway_files_owner ON gateway_files (owner, made_ms);

CREATE TABLE gateway_batches (
    upstream TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    made_ms BIGINT NOT NULL,
    settled INTEGER NOT NULL,
    cost BIGINT NOT NULL,
    looked_ms BIGINT NOT NULL,
    document TEXT NOT NULL,
    held TEXT NOT NULL,
    lines BYTEA NOT NULL,
    PRIMARY KEY (upstream, batch_id)
);
CREATE INDEX gateway_batches_owner ON gateway_batches (owner, made_ms);
CREATE INDEX gateway_batches_open ON gateway_batches (looked_ms) WHERE settled = 0;
