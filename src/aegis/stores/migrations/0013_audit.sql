-- The audit log, its head beside it; local accounts, their tokens and sessions; what waits for a second person.

CREATE TABLE audit_entries (
    seq BIGINT PRIMARY KEY,
    at_us BIGINT NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    facts TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);

CREATE TABLE audit_heads (
    name TEXT PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL
);

CREATE TABLE accounts (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    password TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    disabled_us BIGINT
);

CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY,
    token_hash BYTEA NOT NULL,
    account TEXT NOT NULL REFERENCES accounts (name),
    role TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT NOT NULL,
    revoked_us BIGINT
);

CREATE TABLE account_sessions (
    session_hash BYTEA PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (name),
    expires_us BIGINT NOT NULL
);

CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    what TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    asked_us BIGINT NOT NULL,
    expires_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    decided_us BIGINT
);
