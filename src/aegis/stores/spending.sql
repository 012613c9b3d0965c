-- name: since
-- Attempts that ended, and what they cost, since a moment.
SELECT service, model, state, cost, body FROM ledger_journal WHERE at_ms >= :since_ms AND state <> 'sent'

-- name: newest
-- The newest attempts that ended, newest first.
SELECT attempt, state, service, model, at_ms, cost, body FROM ledger_journal ORDER BY at_ms DESC, attempt DESC LIMIT :limit

-- name: under_way
-- Everything that was sent and that has not all ended.
SELECT entries FROM ledger_sent

-- name: has_ended
-- Whether an attempt is in the journal.
SELECT 1 FROM ledger_journal WHERE attempt = :attempt

-- name: answers
-- How many answers are kept that still hold, how large they are, and when the last of them expires.
SELECT COUNT(*), COALESCE(SUM(LENGTH(answer)), 0), COALESCE(MAX(expires_ms), 0) FROM ledger_answers
WHERE expires_ms > :now_ms
