-- What providers said of each service and day when they were asked last, and what came of the comparison with the ledger.

CREATE TABLE reconciled_days (
    service TEXT NOT NULL,
    day TEXT NOT NULL,
    provider TEXT NOT NULL,
    billed BIGINT NOT NULL,
    asked_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    incident TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (service, day)
);
CREATE INDEX reconciled_days_day ON reconciled_days (day);
