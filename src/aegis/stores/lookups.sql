-- name: answer
-- What was answered to a request, while it is still remembered.
SELECT answer FROM idempotency WHERE request_key = :request_key AND expires_us > :now_us;

-- name: keep_answer
-- Remember the first answer to a request; one whose time has come makes room.
INSERT INTO idempotency (request_key, answer, expires_us)
VALUES (:request_key, :answer, :expires_us)
ON CONFLICT (request_key) DO UPDATE SET answer = excluded.answer, expires_us = excluded.expires_us
WHERE idempotency.expires_us <= :now_us;

-- name: last_set_aside
-- The number of the newest refused line.
SELECT coalesce(max(seq), 0) FROM set_aside;

-- name: set_aside
-- Keep a refused line with its place.
INSERT INTO set_aside (seq, file, line, code, reason, text, at_us)
VALUES (:seq, :file, :line, :code, :reason, :text, :at_us);

-- name: forget_set_aside
-- Keep only the newest refused lines.
DELETE FROM set_aside WHERE seq <= :newest - :most;

-- name: lines
-- The newest refused lines.
SELECT file, line, code, reason, text, at_us FROM set_aside ORDER BY seq DESC LIMIT :limit;

-- name: setting
-- One setting.
SELECT value FROM settings WHERE name = :name;

-- name: keep_setting
-- Set or replace a setting.
INSERT INTO settings (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: forget_setting
-- Remove a setting.
DELETE FROM settings WHERE name = :name;

-- name: count
-- Add to a counter of a service.
INSERT INTO counters (service, name, total) VALUES (:service, :name, :more)
ON CONFLICT (service, name) DO UPDATE SET total = counters.total + excluded.total;

-- name: counters
-- Every counter.
SELECT service, name, total FROM counters ORDER BY service, name;
