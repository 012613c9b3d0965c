-- name: sections
-- What people wrote into the report of one incident.
SELECT section, text FROM report_sections WHERE incident_id = :incident_id

-- name: write
-- The newest text of one section.
INSERT INTO report_sections (incident_id, section, text, written_by, at_us)
VALUES (:incident_id, :section, :text, :written_by, :at_us)
ON CONFLICT (incident_id, section) DO UPDATE
SET text = excluded.text, written_by = excluded.written_by, at_us = excluded.at_us

-- name: ended_between
-- Attempts that began in a span, newest first, up to a bound.
SELECT attempt, state, service, model, at_ms, ended_ms, cost, body FROM ledger_journal
WHERE at_ms >= :since_ms AND at_ms < :until_ms ORDER BY at_ms DESC LIMIT :limit

-- name: stops_about
-- Stops that may be about one incident: its text stands in their record.
SELECT body FROM stops WHERE at_ms >= :since_ms AND state <> 'planned' ORDER BY at_ms, id LIMIT :limit
