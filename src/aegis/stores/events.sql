-- name: last_seq
-- The number of the newest event: the next one counts on from here (one writer, so nobody else counts).
SELECT coalesce(max(seq), 0) FROM events;

-- name: add
-- Store an event once; an id that is known already changes nothing.
INSERT INTO events (seq, id, at_us, taken_us, body)
VALUES (:seq, :id, :at_us, :taken_us, :body)
ON CONFLICT (id) DO NOTHING;

-- name: pending
-- The oldest events that nobody worked yet.
SELECT body FROM events WHERE done = 0 ORDER BY seq LIMIT :limit;

-- name: worked_since
-- The newest worked events from a time on, to be turned round by the reader.
SELECT body FROM events WHERE done = 1 AND at_us >= :at_us ORDER BY at_us DESC, seq DESC LIMIT :limit;

-- name: waiting
-- How many events nobody worked yet.
SELECT count(*) FROM events WHERE done = 0;
