-- name: keep
-- The short row of an incident, as it stands now.
INSERT INTO incident_list (id, opened_us, last_us, status, severity, kind, title, about, seen, cost, assignee, held)
VALUES (:id, :opened_us, :last_us, :status, :severity, :kind, :title, :about, :seen, :cost, :assignee, :held)
ON CONFLICT (id) DO UPDATE SET
    last_us = excluded.last_us,
    status = excluded.status,
    severity = excluded.severity,
    kind = excluded.kind,
    title = excluded.title,
    about = excluded.about,
    seen = excluded.seen,
    cost = excluded.cost,
    assignee = excluded.assignee,
    held = excluded.held;

-- name: keep_technique
-- An incident shows a technique.
INSERT INTO incident_techniques (technique, incident_id, opened_us) VALUES (:technique, :id, :opened_us)
ON CONFLICT (technique, incident_id) DO NOTHING;

-- name: unread
-- Incidents whose short row is still to be filled in.
SELECT i.body FROM incident_list AS l JOIN incidents AS i ON i.id = l.id WHERE l.severity = 0 LIMIT :limit;

-- name: counts
-- How many incidents stand where, by severity.
SELECT status, severity, count(*) FROM incident_list GROUP BY status, severity;

-- name: techniques
-- How many incidents show each technique.
SELECT technique, count(*) FROM incident_techniques GROUP BY technique;

-- name: techniques_since
-- How many incidents that were opened since a moment show each technique.
SELECT technique, count(*) FROM incident_techniques WHERE opened_us >= :since_us GROUP BY technique;

-- name: dearest
-- The incidents that cost most.
SELECT id, opened_us, last_us, status, severity, kind, title, about, seen, cost, assignee, held FROM incident_list
WHERE cost > 0 ORDER BY cost DESC, id DESC LIMIT :limit;

-- name: held
-- How many incidents each silence or incident holds back.
SELECT held, count(*) FROM incident_list WHERE held <> '' GROUP BY held;
