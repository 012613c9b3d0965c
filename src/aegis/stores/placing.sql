-- name: keep_text
-- Store what is told, once for all services that are told it.
INSERT INTO notifications (id, incident_id, stored_us, body)
VALUES (:id, :incident_id, :stored_us, :body)
ON CONFLICT (id) DO NOTHING;

-- name: overtaken
-- Deliveries of an incident to a service, and there to the same recipient, that wait unsent and are older than a version, oldest first.
SELECT id, change, priority, attempts, created_us, due_us, last_error, doubtful
FROM deliveries
WHERE incident_id = :incident_id AND service = :service AND recipient = :recipient AND version < :version AND state = 'ready'
    AND change <> 'noted'
ORDER BY version;

-- name: supersede
-- A newer delivery carries on in this one's place.
UPDATE deliveries SET state = 'superseded', ended_us = :now_us WHERE id = :id AND state = 'ready';

-- name: add
-- Put a delivery into its lane; one that was placed before is left alone.
INSERT INTO deliveries
    (id, incident_id, service, recipient, version, change, notification_id, priority, state, attempts, created_us,
     due_us, last_error, doubtful)
VALUES
    (:id, :incident_id, :service, :recipient, :version, :change, :notification_id, :priority, 'ready', :attempts,
     :created_us, :due_us, :last_error, :doubtful)
ON CONFLICT (id) DO NOTHING;

-- name: newer
-- The newest delivery of the same incident, service and recipient that waits behind this one.
SELECT id, change, priority, attempts, created_us, due_us, last_error, doubtful
FROM deliveries
WHERE incident_id = :incident_id AND service = :service AND recipient = :recipient AND version > :version AND state = 'ready'
    AND change <> 'noted'
ORDER BY version DESC LIMIT 1;

-- name: take_place
-- A waiting delivery goes on in the place of an older one.
UPDATE deliveries
SET change = :change, priority = :priority, attempts = :attempts, created_us = :created_us, due_us = :due_us,
    last_error = :last_error, doubtful = :doubtful
WHERE id = :id;
