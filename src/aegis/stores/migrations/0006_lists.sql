-- What lists, counts and the ATT&CK map ask of incidents, beside the whole record: one short row each.

CREATE TABLE incident_list (
    id TEXT PRIMARY KEY REFERENCES incidents (id) ON DELETE CASCADE,
    opened_us BIGINT NOT NULL,
    last_us BIGINT NOT NULL,
    status TEXT NOT NULL,
    severity BIGINT NOT NULL,           -- 0: the row was made by this migration and is still to be filled in
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    about TEXT NOT NULL,                -- the kind of the entity, a blank, its value
    seen BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    assignee TEXT NOT NULL,
    held TEXT NOT NULL                  -- the silence or incident that holds it back; empty: nothing does
);
CREATE INDEX incident_list_newest ON incident_list (opened_us, id);
CREATE INDEX incident_list_status ON incident_list (status, opened_us, id, severity);
CREATE INDEX incident_list_severity ON incident_list (severity, opened_us, id, status);
CREATE INDEX incident_list_held ON incident_list (held, opened_us, id) WHERE held <> '';
CREATE INDEX incident_list_dear ON incident_list (cost, id) WHERE cost > 0;

CREATE TABLE incident_techniques (
    technique TEXT NOT NULL,
    incident_id TEXT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    opened_us BIGINT NOT NULL,
    PRIMARY KEY (technique, incident_id)
);
CREATE INDEX incident_techniques_newest ON incident_techniques (technique, opened_us, incident_id);
CREATE INDEX incident_techniques_incident ON incident_techniques (incident_id);

INSERT INTO incident_list (id, opened_us, last_us, status, severity, kind, title, about, seen, cost, assignee, held)
SELECT id, opened_us, updated_us, status, 0, '', '', '', 0, 0, '', '' FROM incidents;
