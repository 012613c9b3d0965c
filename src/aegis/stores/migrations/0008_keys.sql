-- Virtual keys of the gateway: a keyed hash and what the key may do. The key itself is never here.

CREATE TABLE virtual_keys (
    key_id TEXT PRIMARY KEY,
    key_hash BYTEA NOT NULL,
    name TEXT NOT NULL,
    team TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT,
    revoked_us BIGINT,
    body TEXT NOT NULL,
    changed BIGINT NOT NULL
);

CREATE INDEX virtual_keys_by_name ON virtual_keys (name);
CREATE INDEX virtual_keys_by_change ON virtual_keys (changed);
