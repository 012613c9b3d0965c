-- name: events
-- Worked events that are old enough to go. What nobody worked yet stays.
DELETE FROM events WHERE seq IN (
    SELECT seq FROM events WHERE taken_us < :before_us AND done = 1 ORDER BY seq LIMIT :limit
);

-- name: deliveries
-- Deliveries that ended well, or were overtaken, long ago.
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries WHERE ended_us > 0 AND ended_us < :before_us AND state IN ('done', 'superseded')
    ORDER BY ended_us LIMIT :limit
);

-- name: dead_letters
-- Dead letters that nobody asked for in all that time.
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries WHERE ended_us > 0 AND ended_us < :before_us AND state = 'dead'
    ORDER BY ended_us LIMIT :limit
);

-- name: notifications
-- Texts that no delivery refers to any more.
DELETE FROM notifications WHERE id IN (
    SELECT n.id FROM notifications AS n
    WHERE n.stored_us < :before_us AND NOT EXISTS (
        SELECT 1 FROM deliveries AS d WHERE d.incident_id = n.incident_id AND d.notification_id = n.id
    )
    ORDER BY n.stored_us LIMIT :limit
);

-- name: incidents
-- Incidents that nothing happened to for so long.
DELETE FROM incidents WHERE id IN (SELECT id FROM incidents WHERE updated_us < :before_us LIMIT :limit);

-- name: remotes
-- Handles of messages that nobody will edit any more.
DELETE FROM remotes WHERE given_us IN (SELECT given_us FROM remotes WHERE given_us < :before_us LIMIT :limit);

-- name: idempotency
-- Answers whose time has come.
DELETE FROM idempotency WHERE request_key IN (
    SELECT request_key FROM idempotency WHERE expires_us < :before_us LIMIT :limit
);

-- name: set_aside
-- Refused lines that nobody looked at in all that time.
DELETE FROM set_aside WHERE seq IN (SELECT seq FROM set_aside WHERE at_us < :before_us LIMIT :limit);

-- name: arrivals
-- Names of deliveries that are too old to be believed again anyway.
DELETE FROM arrivals WHERE id IN (SELECT id FROM arrivals WHERE seen_us < :before_us ORDER BY seen_us LIMIT :limit);

-- name: handles
-- Names of incidents elsewhere that nobody will use any more.
DELETE FROM handles WHERE given_us IN (SELECT given_us FROM handles WHERE given_us < :before_us LIMIT :limit);

-- name: alerts
-- Alerts that nobody told about in all that time.
DELETE FROM alerts WHERE digest IN (SELECT digest FROM alerts WHERE told_us < :before_us LIMIT :limit);
