-- The allowance ledger: lines in windows, what holders were lent, the journal of attempts. Amounts are 64-bit integers.

CREATE TABLE ledger_holders (
    holder TEXT PRIMARY KEY,
    epoch BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);

CREATE TABLE ledger_rows (
    id BIGINT PRIMARY KEY,
    line TEXT NOT NULL,
    budget TEXT NOT NULL,
    part TEXT NOT NULL,
    share TEXT NOT NULL,
    unit TEXT NOT NULL,
    kind TEXT NOT NULL,
    window_key TEXT NOT NULL,
    starts_ms BIGINT NOT NULL,
    ends_ms BIGINT NOT NULL,
    span_ms BIGINT NOT NULL,
    lim BIGINT NOT NULL,
    levels TEXT NOT NULL,
    journalled INTEGER NOT NULL,
    settled BIGINT NOT NULL CHECK (settled >= 0),
    leased BIGINT NOT NULL CHECK (leased >= 0),
    overrun BIGINT NOT NULL CHECK (overrun >= 0),
    refused BIGINT NOT NULL,
    crossed INTEGER NOT NULL,
    recall_ms BIGINT NOT NULL,
    CHECK (settled + leased <= lim + overrun)
);
CREATE UNIQUE INDEX ledger_rows_newest ON ledger_rows (line, starts_ms);
CREATE INDEX ledger_rows_budget ON ledger_rows (budget, part);

CREATE TABLE ledger_leases (
    holder TEXT NOT NULL REFERENCES ledger_holders (holder),
    row_id BIGINT NOT NULL REFERENCES ledger_rows (id),
    units BIGINT NOT NULL CHECK (units > 0),
    PRIMARY KEY (holder, row_id)
);

CREATE TABLE ledger_slots (
    row_id BIGINT NOT NULL REFERENCES ledger_rows (id),
    slot_ms BIGINT NOT NULL,
    units BIGINT NOT NULL CHECK (units > 0),
    PRIMARY KEY (row_id, slot_ms)
);

CREATE TABLE ledger_journal (
    attempt TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('sent', 'settled', 'void', 'worst', 'refused', 'cached')),
    service TEXT NOT NULL,
    model TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    ended_ms BIGINT NOT NULL,
    worst BIGINT NOT NULL CHECK (worst >= 0),
    cost BIGINT NOT NULL CHECK (cost >= 0),
    holds TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX ledger_journal_sent ON ledger_journal (holder) WHERE state = 'sent';

CREATE TABLE ledger_totals (
    day TEXT NOT NULL,
    service TEXT NOT NULL,
    model TEXT NOT NULL,
    state TEXT NOT NULL,
    calls BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    PRIMARY KEY (day, service, model, state)
);

CREATE TABLE ledger_crossings (
    budget TEXT NOT NULL,
    part TEXT NOT NULL,
    window_key TEXT NOT NULL,
    level TEXT NOT NULL,
    spent BIGINT NOT NULL,
    lim BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    told INTEGER NOT NULL,
    PRIMARY KEY (budget, part, window_key, level)
);

CREATE TABLE ledger_switches (
    scope TEXT PRIMARY KEY,
    stopped INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at_ms BIGINT NOT NULL
);

CREATE TABLE ledger_answers (
    answer_key TEXT PRIMARY KEY,
    answer BYTEA NOT NULL,
    stored_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    used_ms BIGINT NOT NULL
);
CREATE INDEX ledger_answers_used ON ledger_answers (used_ms);
