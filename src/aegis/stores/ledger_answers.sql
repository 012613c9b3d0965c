-- name: get
-- An answer that still holds.
SELECT answer FROM ledger_answers WHERE answer_key = :key AND expires_ms > :now_ms

-- name: put
-- Keep an answer.
INSERT INTO ledger_answers (answer_key, answer, stored_ms, expires_ms, used_ms)
VALUES (:key, :answer, :now_ms, :expires_ms, :now_ms)
ON CONFLICT (answer_key) DO UPDATE
SET answer = excluded.answer, stored_ms = excluded.stored_ms, expires_ms = excluded.expires_ms, used_ms = excluded.used_ms

-- name: expire
-- Forget what no longer holds.
DELETE FROM ledger_answers WHERE expires_ms <= :now_ms

-- name: trim
-- Forget the oldest beyond the number that is kept.
DELETE FROM ledger_answers WHERE answer_key IN (
    SELECT answer_key FROM ledger_answers ORDER BY used_ms DESC LIMIT 1000 OFFSET :keep
)

-- name: clear
-- Forget everything.
DELETE FROM ledger_answers
