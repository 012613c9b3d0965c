-- What came in by signed webhooks and links. Times are microseconds since 1970 in UTC.

-- Deliveries that were taken, by what their sender signed: a second one is answered and changes nothing.
CREATE TABLE arrivals (
    id TEXT PRIMARY KEY,                -- sender and the delivery's own name
    seen_us BIGINT NOT NULL
);
CREATE INDEX arrivals_seen ON arrivals (seen_us);

-- What services call our incidents, where that is not what they answered to our message.
CREATE TABLE handles (
    service TEXT NOT NULL,
    handle TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    given_us BIGINT NOT NULL,
    PRIMARY KEY (service, handle)
);
CREATE INDEX handles_given ON handles (given_us);

-- Alerts of other systems: whether each fires.
CREATE TABLE alerts (
    digest TEXT PRIMARY KEY,            -- of product and key
    named TEXT NOT NULL,                -- as people see it
    firing BIGINT NOT NULL CHECK (firing IN (0, 1)),
    changed_us BIGINT NOT NULL,         -- by the sender's clock
    told_us BIGINT NOT NULL,            -- when we heard: what retention goes by
    settled BIGINT NOT NULL CHECK (settled IN (0, 1)) -- its incident knows
);
CREATE INDEX alerts_unsettled ON alerts (told_us) WHERE settled = 0;
CREATE INDEX alerts_told ON alerts (told_us);

-- A service names the message or issue; whose incident is it?
CREATE INDEX remotes_by_handle ON remotes (service, remote_id);
