-- name: mark_done
-- This event was worked.
UPDATE events SET done = 1 WHERE id = :id AND done = 0;

-- name: keep
-- Store an incident; only a higher version replaces what is there.
INSERT INTO incidents (id, version, status, opened_us, updated_us, body)
VALUES (:id, :version, :status, :opened_us, :updated_us, :body)
ON CONFLICT (id) DO UPDATE SET
    version = excluded.version,
    status = excluded.status,
    opened_us = excluded.opened_us,
    updated_us = excluded.updated_us,
    body = excluded.body
WHERE excluded.version > incidents.version;

-- name: get
-- One incident.
SELECT body FROM incidents WHERE id = :id;

-- name: unresolved
-- Every incident that is not over.
SELECT body FROM incidents WHERE status <> 'resolved' ORDER BY id;

-- name: recent
-- The newest incidents, newest first.
SELECT body FROM incidents ORDER BY opened_us DESC, id DESC LIMIT :limit;

-- name: by_status
-- How many incidents stand where.
SELECT status, count(*) FROM incidents GROUP BY status;
