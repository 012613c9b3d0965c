-- Spending by the hour and by who asked, rolled up from the journal behind it, and the anomalies found in it.

CREATE TABLE spend_hours (
    hour_ms BIGINT NOT NULL,
    service TEXT NOT NULL,
    model TEXT NOT NULL,
    for_key TEXT NOT NULL,
    team TEXT NOT NULL,
    source TEXT NOT NULL,
    severity TEXT NOT NULL,
    operation TEXT NOT NULL,
    purpose TEXT NOT NULL,
    calls BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    PRIMARY KEY (hour_ms, service, model, for_key, team, source, severity, operation, purpose)
);

CREATE TABLE spend_read (
    name TEXT PRIMARY KEY,
    last_row BIGINT NOT NULL
);
INSERT INTO spend_read (name, last_row) VALUES ('journal', 0);

CREATE TABLE anomalies (
    id TEXT PRIMARY KEY,
    driver TEXT NOT NULL,
    opened_ms BIGINT NOT NULL,
    closed_ms BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX anomalies_open ON anomalies (driver) WHERE closed_ms = 0;
CREATE INDEX anomalies_opened ON anomalies (opened_ms);
