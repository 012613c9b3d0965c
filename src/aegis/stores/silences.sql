-- name: add
-- Put a silence on record; one that is known is left alone.
INSERT INTO silences (id, over_us, body) VALUES (:id, :over_us, :body)
ON CONFLICT (id) DO NOTHING;

-- name: in_force
-- Silences that are not over, oldest first.
SELECT id, body, ended_us, held FROM silences WHERE over_us > :now_us ORDER BY id LIMIT :limit;

-- name: newest
-- All silences on record, newest first.
SELECT id, body, ended_us, held FROM silences ORDER BY id DESC LIMIT :limit;

-- name: get
-- One silence.
SELECT id, body, ended_us, held FROM silences WHERE id = :id;

-- name: end
-- End a silence early.
UPDATE silences SET over_us = :now_us, ended_us = :now_us WHERE id = :id AND over_us > :now_us;

-- name: count
-- Count messages that a silence kept back.
UPDATE silences SET held = held + :more WHERE id = :id;

-- name: withdraw
-- Take back what was to be said to single people about an incident and has not left.
UPDATE deliveries SET state = 'superseded', ended_us = :now_us
WHERE incident_id = :incident_id AND recipient <> '' AND state = 'ready';

-- name: waiting_of
-- What waits unsent about an incident, oldest first.
SELECT id, service, change FROM deliveries WHERE incident_id = :incident_id AND state = 'ready' ORDER BY version, id;

-- name: take_back
-- One message that waits is not to leave.
UPDATE deliveries SET state = 'superseded', ended_us = :now_us WHERE id = :id AND state = 'ready';

-- name: reached
-- To whom something about an incident has left.
SELECT DISTINCT recipient FROM deliveries
WHERE incident_id = :incident_id AND recipient <> '' AND state IN ('leased', 'done');
