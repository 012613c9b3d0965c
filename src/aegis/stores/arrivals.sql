-- name: seen
-- Whether a delivery was taken before.
SELECT 1 FROM arrivals WHERE id = :id;

-- name: arrive
-- Keep a delivery's name; nothing happens when it is known.
INSERT INTO arrivals (id, seen_us) VALUES (:id, :now_us) ON CONFLICT (id) DO NOTHING;

-- name: remember_handle
-- What a service calls an incident; the newest word counts.
INSERT INTO handles (service, handle, incident_id, given_us)
VALUES (:service, :handle, :incident_id, :now_us)
ON CONFLICT (service, handle) DO UPDATE SET incident_id = excluded.incident_id, given_us = excluded.given_us;

-- name: by_handle
-- The incident that a service calls so.
SELECT incident_id FROM handles WHERE service = :service AND handle = :handle;

-- name: by_remote
-- The incident whose message has this handle, as the service answered.
SELECT incident_id FROM remotes WHERE service = :service AND remote_id = :handle ORDER BY given_us DESC LIMIT 1;

-- name: tell_alert
-- An alert's newest state; an older one changes nothing.
INSERT INTO alerts (digest, named, firing, changed_us, told_us, settled)
VALUES (:digest, :named, :firing, :changed_us, :now_us, :firing)
ON CONFLICT (digest) DO UPDATE SET
    named = excluded.named,
    firing = excluded.firing,
    changed_us = excluded.changed_us,
    told_us = excluded.told_us,
    settled = CASE WHEN excluded.firing = alerts.firing THEN alerts.settled ELSE excluded.settled END
WHERE excluded.changed_us >= alerts.changed_us;

-- name: unsettled
-- Alerts that are over, whose incident does not know yet, oldest first.
SELECT digest, named FROM alerts WHERE settled = 0 ORDER BY told_us LIMIT :limit;

-- name: settle
-- The incident knows that the alert is over.
UPDATE alerts SET settled = 1 WHERE digest = :digest;

-- name: firing
-- Whether an alert fires; no row when nobody knows it.
SELECT firing FROM alerts WHERE digest = :digest;
