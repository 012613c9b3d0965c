-- What is sent together is one row until all of it has ended, and an attempt is written into the journal once, when it
-- ended. A CHECK with IN builds a table of its own for every row that is written (in SQLite, 7 of 15 microseconds); the
-- same question asked with OR costs nothing that can be measured.

CREATE TABLE ledger_sent (
    holder TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    batch BIGINT NOT NULL,
    entries TEXT NOT NULL,
    PRIMARY KEY (holder, epoch, batch)
);

CREATE TABLE ledger_shrunk (
    attempt TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    holds TEXT NOT NULL
);
CREATE INDEX ledger_shrunk_holder ON ledger_shrunk (holder, epoch);

CREATE TABLE ledger_attempts (
    attempt TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (
        state = 'settled' OR state = 'worst' OR state = 'void' OR state = 'refused' OR state = 'cached' OR state = 'sent'
    ),
    service TEXT NOT NULL,
    model TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    ended_ms BIGINT NOT NULL,
    worst BIGINT NOT NULL CHECK (worst >= 0),
    cost BIGINT NOT NULL CHECK (cost >= 0),
    holds TEXT NOT NULL,
    body TEXT NOT NULL
);

INSERT INTO ledger_attempts (
    attempt, holder, epoch, state, service, model, at_ms, ended_ms, worst, cost, holds, body
)
SELECT attempt, holder, epoch, state, service, model, at_ms, ended_ms, worst, cost, holds, body FROM ledger_journal;

DROP TABLE ledger_journal;

ALTER TABLE ledger_attempts RENAME TO ledger_journal;

CREATE INDEX ledger_journal_sent ON ledger_journal (holder) WHERE state = 'sent';
CREATE INDEX ledger_journal_at ON ledger_journal (at_ms);
