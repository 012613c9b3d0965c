-- name: lapsed
-- Leases of a lane that ran out: whoever held them is gone.
SELECT id, incident_id, service, recipient, version, change, priority, attempts, created_us, due_us, last_error, doubtful
FROM deliveries
WHERE service = :service AND state = 'leased' AND lease_us <= :now_us;

-- name: release
-- Give a lapsed delivery back to its lane. Whoever held it may have sent it.
UPDATE deliveries SET state = 'ready', doubtful = 1 WHERE id = :id AND state = 'leased';

-- name: claimable
-- Due deliveries of one lane and priority in the order of their places; none while an older message of the same
-- incident is under way, so that one message can be edited instead of a second one sent.
SELECT d.id, d.created_us, d.priority
FROM deliveries AS d
WHERE d.service = :service AND d.state = 'ready' AND d.priority = :priority AND d.due_us <= :now_us
    AND NOT EXISTS (
        SELECT 1 FROM deliveries AS o
        WHERE o.incident_id = d.incident_id AND o.service = d.service AND o.recipient = d.recipient
            AND o.state = 'leased'
    )
    AND (:fresh = 0 OR (d.recipient = '' AND NOT EXISTS (
        SELECT 1 FROM remotes AS r WHERE r.incident_id = d.incident_id AND r.service = d.service
    )))
ORDER BY d.created_us, d.id
LIMIT :limit;

-- name: due
-- How many deliveries of a lane are due, counted up to a number.
SELECT count(*) FROM (
    SELECT 1 FROM deliveries WHERE service = :service AND state = 'ready' AND due_us <= :now_us LIMIT :most
) AS some;

-- name: unheard
-- First pages that a service has not taken and of which nobody was told elsewhere, oldest first.
SELECT d.id
FROM deliveries AS d
WHERE d.service = :service AND d.state IN ('ready', 'leased', 'dead') AND d.created_us < :before_us
    AND d.priority >= 3 AND d.change IN ('opened', 'raised', 'reopened')
    AND NOT EXISTS (SELECT 1 FROM deliveries AS f WHERE f.id = d.id || :mark)
ORDER BY d.created_us, d.id
LIMIT :limit;

-- name: lease
-- Hand deliveries out until their lease runs out; the attempt counts from here. They were chosen in this very transaction
-- because they are ready; to ask for that again would lead through every one that is.
UPDATE deliveries SET state = 'leased', attempts = attempts + 1, lease_us = ? WHERE id IN (?);

-- name: whole
-- Deliveries with the ids of their texts and the newest handle that each service gave for the incident.
SELECT d.id, d.incident_id, d.service, d.notification_id, coalesce(r.remote_id, ''), d.state, d.change, d.priority,
    d.attempts, d.created_us, d.due_us, d.last_error, d.doubtful
FROM deliveries AS d
LEFT JOIN remotes AS r ON r.incident_id = d.incident_id AND r.service = d.service AND d.recipient = ''
WHERE d.id IN (?);

-- name: texts
-- What is told.
SELECT id, body FROM notifications WHERE id IN (?);

-- name: next_due
-- When the next delivery of a lane may go, or the next lease of it runs out.
SELECT min(at_us) FROM (
    SELECT min(due_us) AS at_us FROM deliveries WHERE service = :service AND state = 'ready'
    UNION ALL
    SELECT min(lease_us) AS at_us FROM deliveries WHERE service = :service AND state = 'leased'
) AS waiting;

-- name: done
-- The service took them. True whoever else believed to hold them.
UPDATE deliveries SET state = 'done', ended_us = ?, note = ?, last_error = '' WHERE id IN (?);

-- name: remember_remote
-- Keep the newest handles that services gave for incidents.
INSERT INTO remotes (incident_id, service, remote_id, version, given_us)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (incident_id, service) DO UPDATE SET
    remote_id = excluded.remote_id,
    version = excluded.version,
    given_us = excluded.given_us
WHERE excluded.version >= remotes.version;

-- name: retry
-- Put a leased delivery back for later. Nothing happens when the lease went to somebody else meanwhile.
UPDATE deliveries
SET state = 'ready', due_us = :due_us, last_error = :error, doubtful = CASE WHEN :doubtful = 1 THEN 1 ELSE doubtful END
WHERE id = :id AND state = 'leased' AND attempts = :attempts;

-- name: bury
-- Give a leased delivery up. Nothing happens when the lease went to somebody else meanwhile.
UPDATE deliveries
SET state = 'dead', ended_us = :now_us, last_error = :error,
    doubtful = CASE WHEN :doubtful = 1 THEN 1 ELSE doubtful END
WHERE id = :id AND state = 'leased' AND attempts = :attempts;

-- name: place
-- Where a delivery stands.
SELECT id, incident_id, service, recipient, version, change, priority, attempts, created_us, due_us, last_error, doubtful
FROM deliveries WHERE id = :id AND state = :state;

-- name: counts
-- How many deliveries of each service stand where.
SELECT service, state, count(*) FROM deliveries GROUP BY state, service;

-- name: undelivered
-- How many are still to be sent.
SELECT count(*) FROM deliveries WHERE state IN ('ready', 'leased');

-- name: dead
-- The newest dead letters.
SELECT id FROM deliveries WHERE state = 'dead' ORDER BY ended_us DESC, id DESC LIMIT :limit;

-- name: later
-- Whether a newer message of the incident reached the service, or is on its way there.
SELECT 1 FROM deliveries
WHERE incident_id = :incident_id AND service = :service AND recipient = :recipient AND version > :version
    AND state IN ('ready', 'leased', 'done')
LIMIT 1;

-- name: revive
-- A dead letter begins anew.
UPDATE deliveries
SET state = 'ready', attempts = 0, created_us = :now_us, due_us = :now_us, ended_us = 0
WHERE id = :id AND state = 'dead';

-- name: obsolete
-- A dead letter that a newer message has replaced.
UPDATE deliveries SET state = 'superseded', ended_us = :now_us WHERE id = :id AND state = 'dead';

-- name: drop
-- Forget a dead letter.
DELETE FROM deliveries WHERE id = :id AND state = 'dead';

-- name: of_incident
-- Every delivery of an incident, oldest first.
SELECT id FROM deliveries WHERE incident_id = :incident_id ORDER BY version, service;

-- name: waiting
-- Incidents about which something waits unsent, oldest first.
SELECT DISTINCT incident_id FROM deliveries WHERE state = 'ready' ORDER BY incident_id LIMIT :limit;
