-- Stop and return: what a switch says besides its scope, every turn of every switch, stops of record, and who steps them.

ALTER TABLE ledger_switches ADD COLUMN details TEXT NOT NULL DEFAULT '{}';

CREATE TABLE ledger_turns (
    seq BIGINT PRIMARY KEY,
    scope TEXT NOT NULL,
    stopped INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    details TEXT NOT NULL
);

-- A virtual key that is held may not be used until the stop that holds it gives it back.
ALTER TABLE virtual_keys ADD COLUMN held TEXT NOT NULL DEFAULT '';

CREATE TABLE stops (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('planned', 'stopping', 'stopped', 'returning', 'returned')),
    version BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX stops_at ON stops (at_ms, id);

CREATE TABLE stop_steppers (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until_ms BIGINT NOT NULL
);
