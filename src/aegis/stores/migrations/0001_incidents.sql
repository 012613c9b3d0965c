-- Events, incidents, deliveries, and what is kept beside them. Times are microseconds since 1970 in UTC.
-- Columns are what queries ask for; the record itself is the JSON text in `body`.

CREATE TABLE events (
    seq BIGINT PRIMARY KEY,             -- order of arrival
    id TEXT NOT NULL UNIQUE,
    at_us BIGINT NOT NULL,              -- the event's own time
    taken_us BIGINT NOT NULL,           -- when it was stored: what retention goes by
    done BIGINT NOT NULL DEFAULT 0,
    body TEXT NOT NULL
);
CREATE INDEX events_pending ON events (seq) WHERE done = 0;
CREATE INDEX events_worked ON events (at_us, seq) WHERE done = 1;

CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'acknowledged', 'resolved')),
    opened_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX incidents_recent ON incidents (opened_us, id);
CREATE INDEX incidents_unresolved ON incidents (id) WHERE status <> 'resolved';
CREATE INDEX incidents_updated ON incidents (updated_us);

-- One text, told to many services: deliveries refer to it. `id` is made of its content.
CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    incident_id TEXT NOT NULL,
    stored_us BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX notifications_stored ON notifications (stored_us);

CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    incident_id TEXT NOT NULL,
    service TEXT NOT NULL,
    version BIGINT NOT NULL,
    change TEXT NOT NULL,
    notification_id TEXT NOT NULL,
    priority BIGINT NOT NULL CHECK (priority BETWEEN 1 AND 4),
    state TEXT NOT NULL CHECK (state IN ('ready', 'leased', 'done', 'dead', 'superseded')),
    attempts BIGINT NOT NULL CHECK (attempts >= 0),
    created_us BIGINT NOT NULL,         -- its place in the queue
    due_us BIGINT NOT NULL,             -- not before
    lease_us BIGINT NOT NULL DEFAULT 0, -- when a lease runs out
    ended_us BIGINT NOT NULL DEFAULT 0,
    last_error TEXT NOT NULL DEFAULT '',
    note TEXT NOT NULL DEFAULT ''
);
CREATE INDEX deliveries_ready ON deliveries (service, priority, created_us, id, due_us) WHERE state = 'ready';
CREATE INDEX deliveries_leased ON deliveries (service, lease_us) WHERE state = 'leased';
CREATE INDEX deliveries_incident ON deliveries (incident_id, service, version);
CREATE INDEX deliveries_state ON deliveries (state, service);
CREATE INDEX deliveries_ended ON deliveries (ended_us) WHERE ended_us > 0;

-- The newest handle that a service gave for an incident (message id, issue key).
CREATE TABLE remotes (
    incident_id TEXT NOT NULL,
    service TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    given_us BIGINT NOT NULL,
    PRIMARY KEY (incident_id, service)
);
CREATE INDEX remotes_given ON remotes (given_us);

-- What was answered to a request with an idempotency key.
CREATE TABLE idempotency (
    request_key TEXT PRIMARY KEY,
    answer TEXT NOT NULL,
    expires_us BIGINT NOT NULL
);
CREATE INDEX idempotency_expires ON idempotency (expires_us);

-- Lines that intake refused, with their place.
CREATE TABLE set_aside (
    seq BIGINT PRIMARY KEY,
    file TEXT NOT NULL,
    line BIGINT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    text TEXT NOT NULL,
    at_us BIGINT NOT NULL
);
CREATE INDEX set_aside_at ON set_aside (at_us);

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE counters (
    service TEXT NOT NULL,
    name TEXT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (service, name)
);
