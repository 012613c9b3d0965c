-- What people wrote into the sections of incident reports: the newest text of each, and who wrote it when.

CREATE TABLE report_sections (
    incident_id TEXT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    section TEXT NOT NULL,
    text TEXT NOT NULL,
    written_by TEXT NOT NULL,
    at_us BIGINT NOT NULL,
    PRIMARY KEY (incident_id, section)
);
