-- name: last_row
-- How far the journal was read.
SELECT last_row FROM spend_read WHERE name = 'journal'

-- name: next_rows
-- What ended since, in the order of its arrival. SQLite's own row number: the journal stands in this file.
SELECT rowid, service, model, state, at_ms, cost, body FROM ledger_journal WHERE rowid > :last_row ORDER BY rowid LIMIT :limit

-- name: move_on
-- The journal was read so far; nobody else moved on meanwhile.
UPDATE spend_read SET last_row = :last_row WHERE name = 'journal' AND last_row = :before

-- name: newest_row
-- The last row of the journal.
SELECT COALESCE(MAX(rowid), 0) FROM ledger_journal

-- name: add
-- What one combination came to in one hour, more of it.
INSERT INTO spend_hours (
    hour_ms, service, model, for_key, team, source, severity, operation, purpose, calls, cost
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (hour_ms, service, model, for_key, team, source, severity, operation, purpose) DO UPDATE
SET calls = spend_hours.calls + excluded.calls, cost = spend_hours.cost + excluded.cost

-- name: day_sums
-- What each day came to by the hours, to be compared with the totals.
SELECT hour_ms / 86400000, SUM(cost) FROM spend_hours WHERE hour_ms >= :since_ms GROUP BY hour_ms / 86400000

-- name: day_totals
-- What each day came to by the totals that the ledger keeps.
SELECT day, SUM(cost) FROM ledger_totals WHERE day >= :since GROUP BY day

-- name: forget_day
-- A day is added up anew.
DELETE FROM spend_hours WHERE hour_ms >= :from_ms AND hour_ms < :until_ms

-- name: rows_of_day
-- Everything of one day that was read before.
SELECT rowid, service, model, state, at_ms, cost, body FROM ledger_journal
WHERE at_ms >= :from_ms AND at_ms < :until_ms AND rowid <= :last_row

-- name: forget_old
-- Hours that no forecast asks for any more.
DELETE FROM spend_hours WHERE hour_ms < :before_ms
