-- name: epoch
-- The epoch of a holder.
SELECT epoch FROM ledger_holders WHERE holder = :holder

-- name: set_holder
-- Begin, renew or end a holder.
INSERT INTO ledger_holders (holder, epoch, expires_ms) VALUES (:holder, :epoch, :expires_ms)
ON CONFLICT (holder) DO UPDATE SET epoch = excluded.epoch, expires_ms = excluded.expires_ms

-- name: lapsed
-- Holders that were silent too long; an ended one has no expiry.
SELECT holder FROM ledger_holders WHERE expires_ms > 0 AND expires_ms < :before_ms ORDER BY holder

-- name: row
-- One row by its id.
SELECT * FROM ledger_rows WHERE id = :id

-- name: rows
-- Several rows by their ids; written for one and repeated for as many as are read together.
SELECT * FROM ledger_rows WHERE id IN (?)

-- name: newest
-- The newest window of a line.
SELECT * FROM ledger_rows WHERE line = :line ORDER BY starts_ms DESC LIMIT 1

-- name: begun
-- The window of a line that began at a moment.
SELECT * FROM ledger_rows WHERE line = :line AND starts_ms = :starts_ms

-- name: next_row
-- The next free row id; the one writer makes this safe.
SELECT COALESCE(MAX(id), 0) + 1 FROM ledger_rows

-- name: add_row
-- Open a window of a line.
INSERT INTO ledger_rows (
    id, line, budget, part, share, unit, kind, window_key, starts_ms, ends_ms, span_ms, lim, levels, journalled,
    settled, leased, overrun, refused, crossed, recall_ms
) VALUES (
    :id, :line, :budget, :part, :share, :unit, :kind, :window_key, :starts_ms, :ends_ms, :span_ms, :lim, :levels,
    :journalled, :settled, :leased, :overrun, :refused, :crossed, :recall_ms
)

-- name: put_rows
-- Write back what may change of rows; written for one and repeated for as many as are written together.
UPDATE ledger_rows
SET lim = v.column2, levels = v.column3, settled = v.column4, leased = v.column5, overrun = v.column6,
    refused = v.column7, crossed = v.column8, recall_ms = v.column9
FROM (VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)) AS v
WHERE ledger_rows.id = v.column1

-- name: lease
-- What a holder was lent of a row and has not reported.
SELECT units FROM ledger_leases WHERE holder = :holder AND row_id = :row_id

-- name: lent
-- What a holder was lent of several rows; written for one and repeated for as many as are read together.
SELECT row_id, units FROM ledger_leases WHERE holder = ? AND row_id IN (?)

-- name: leases
-- Everything a holder was lent.
SELECT row_id, units FROM ledger_leases WHERE holder = :holder ORDER BY row_id

-- name: set_lease
-- Write what a holder is lent of a row.
INSERT INTO ledger_leases (holder, row_id, units) VALUES (?, ?, ?)
ON CONFLICT (holder, row_id) DO UPDATE SET units = excluded.units

-- name: end_lease
-- A holder has nothing left of a row.
DELETE FROM ledger_leases WHERE holder = ? AND row_id = ?

-- name: recalled
-- Rows that a holder leases and another was short of; few rows are recalled, and a holder may lease thousands.
SELECT r.id FROM ledger_rows r CROSS JOIN ledger_leases l
WHERE r.recall_ms > 0 AND r.recall_ms > :now_ms AND l.holder = :holder AND l.row_id = r.id

-- name: add_sent
-- Write down what is about to be sent, together.
INSERT INTO ledger_sent (holder, epoch, batch, entries)
SELECT :holder, :epoch, COALESCE(MAX(batch), 0) + 1, :entries FROM ledger_sent
WHERE holder = :holder AND epoch = :epoch
RETURNING batch

-- name: end_sent
-- Everything that was sent together has ended.
DELETE FROM ledger_sent WHERE holder = :holder AND epoch = :epoch AND batch = :batch

-- name: end_sent_epochs
-- The journal holds an end for everything that was sent under epochs that are over.
DELETE FROM ledger_sent WHERE holder = :holder AND epoch < :epoch

-- name: sent_by
-- Everything that a holder sent and that has not all ended.
SELECT entries FROM ledger_sent WHERE holder = :holder ORDER BY epoch, batch

-- name: sent_at_all
-- Everything that anybody sent and that has not all ended.
SELECT entries FROM ledger_sent ORDER BY holder, epoch, batch

-- name: end_entries
-- Attempts ended, each once; written for one and repeated for as many as are written together.
INSERT INTO ledger_journal (
    attempt, state, service, model, at_ms, ended_ms, worst, cost, holds, body, holder, epoch
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (attempt) DO UPDATE
SET state = excluded.state, ended_ms = excluded.ended_ms, cost = excluded.cost, body = excluded.body
WHERE ledger_journal.state = 'sent'

-- name: resize_entry
-- An attempt under way holds less from now on.
INSERT INTO ledger_shrunk (attempt, holder, epoch, holds) VALUES (:attempt, :holder, :epoch, :holds)
ON CONFLICT (attempt) DO UPDATE SET holds = excluded.holds

-- name: shrunk
-- What attempts of a holder hold that hold less than when they were sent.
SELECT attempt, holds FROM ledger_shrunk WHERE holder = :holder

-- name: end_shrunk
-- An attempt that had shrunk has ended.
DELETE FROM ledger_shrunk WHERE attempt = :attempt

-- name: end_shrunk_epochs
-- The same for all attempts of epochs that are over.
DELETE FROM ledger_shrunk WHERE holder = :holder AND epoch < :epoch

-- name: unsettled_before
-- Attempts of a holder that an earlier Aegis wrote into the journal when they were sent, and that never ended.
SELECT * FROM ledger_journal WHERE holder = :holder AND state = 'sent' ORDER BY attempt

-- name: entry
-- One attempt.
SELECT * FROM ledger_journal WHERE attempt = :attempt

-- name: correct_entry
-- The truth about an attempt that was settled at its worst case.
UPDATE ledger_journal SET state = :state, cost = :cost, ended_ms = :ended_ms, body = :body
WHERE attempt = :attempt AND state = 'worst'

-- name: attempts
-- Everything about one call, oldest first.
SELECT * FROM ledger_journal WHERE attempt >= :first AND attempt < :after ORDER BY at_ms, attempt

-- name: add_total
-- Count ended attempts by day, service, model and end.
INSERT INTO ledger_totals (day, service, model, state, calls, cost)
VALUES (:day, :service, :model, :state, :calls, :cost)
ON CONFLICT (day, service, model, state) DO UPDATE
SET calls = ledger_totals.calls + excluded.calls, cost = ledger_totals.cost + excluded.cost

-- name: totals
-- How attempts ended since a day, and what they cost.
SELECT service, model, state, SUM(calls), SUM(cost) FROM ledger_totals WHERE day >= :since
GROUP BY service, model, state ORDER BY service, model, state

-- name: cross
-- Record that a budget crossed a level; once per budget, window and level.
INSERT INTO ledger_crossings (budget, part, window_key, level, spent, lim, at_ms, told)
VALUES (:budget, :part, :window_key, :level, :spent, :lim, :at_ms, 0)
ON CONFLICT (budget, part, window_key, level) DO NOTHING

-- name: untold
-- Crossings that nobody has reported yet.
SELECT budget, part, window_key, level, spent, lim, at_ms FROM ledger_crossings WHERE told = 0
ORDER BY at_ms, budget, lim

-- name: told
-- A crossing was reported.
UPDATE ledger_crossings SET told = 1
WHERE budget = :budget AND part = :part AND window_key = :window_key AND level = :level

-- name: slots
-- The slots of a rolling window that are not empty.
SELECT slot_ms, units FROM ledger_slots WHERE row_id = :row_id ORDER BY slot_ms

-- name: set_slot
-- Write one slot of a rolling window.
INSERT INTO ledger_slots (row_id, slot_ms, units) VALUES (:row_id, :slot_ms, :units)
ON CONFLICT (row_id, slot_ms) DO UPDATE SET units = excluded.units

-- name: end_slot
-- A slot is empty or gone.
DELETE FROM ledger_slots WHERE row_id = :row_id AND slot_ms = :slot_ms

-- name: parts
-- The parts of a budget that have been used.
SELECT DISTINCT part FROM ledger_rows WHERE budget = :budget ORDER BY part

-- name: switches
-- Every switch of record.
SELECT scope, stopped, reason, at_ms, details FROM ledger_switches ORDER BY scope

-- name: turn
-- Stop or resume one scope.
INSERT INTO ledger_switches (scope, stopped, reason, at_ms, details)
VALUES (:scope, :stopped, :reason, :at_ms, :details)
ON CONFLICT (scope) DO UPDATE
SET stopped = excluded.stopped, reason = excluded.reason, at_ms = excluded.at_ms, details = excluded.details

-- name: turned
-- Keep a turn of a switch.
INSERT INTO ledger_turns (seq, scope, stopped, reason, at_ms, details)
SELECT COALESCE(MAX(seq), 0) + 1, :scope, :stopped, :reason, :at_ms, :details FROM ledger_turns

-- name: forget_turns
-- Only the newest turns are kept.
DELETE FROM ledger_turns WHERE seq <= (SELECT COALESCE(MAX(seq), 0) FROM ledger_turns) - :most

-- name: turns
-- The newest turns of all switches, newest first.
SELECT scope, stopped, reason, at_ms, details FROM ledger_turns ORDER BY seq DESC LIMIT :limit

-- name: booked
-- How much of a model was counted on a day, and in how many attempts.
SELECT SUM(calls), SUM(cost) FROM ledger_totals
WHERE day = :day AND service = :service AND model = :model HAVING SUM(calls) > 0

-- name: bodies
-- What the attempts of one call say.
SELECT body FROM ledger_journal WHERE attempt >= :first AND attempt < :after
