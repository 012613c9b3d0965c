-- name: add
-- Put a stop on record.
INSERT INTO stops (id, state, version, at_ms, body) VALUES (:id, :state, :version, :at_ms, :body)

-- name: save
-- The stop as it stands now, unless somebody changed it since it was read.
UPDATE stops SET state = :state, version = :version, body = :body WHERE id = :id AND version = :version - 1

-- name: get
-- One stop.
SELECT body FROM stops WHERE id = :id

-- name: newest
-- The newest stops, newest first.
SELECT body FROM stops ORDER BY at_ms DESC, id DESC LIMIT :limit

-- name: standing
-- Stops that were applied and not given back, oldest first.
SELECT body FROM stops WHERE state <> 'planned' AND state <> 'returned' ORDER BY at_ms, id

-- name: forget
-- Plans that nobody applied and stops that are over, older than a moment.
DELETE FROM stops WHERE at_ms < :before_ms AND (state = 'planned' OR state = 'returned')

-- name: lease
-- Who takes stops further, for a while; nobody else does meanwhile.
INSERT INTO stop_steppers (name, holder, until_ms) VALUES ('stepper', :holder, :until_ms)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms
WHERE stop_steppers.holder = excluded.holder OR stop_steppers.until_ms < :now_ms

-- name: let_go
-- Somebody else may take stops further from now on.
UPDATE stop_steppers SET until_ms = 0 WHERE name = 'stepper' AND holder = :holder

-- name: ended_since
-- Attempts that ended since a moment, newest first, up to a bound.
SELECT state, service, model, at_ms, ended_ms, cost, body FROM ledger_journal
WHERE at_ms >= :since_ms AND (state = 'settled' OR state = 'worst' OR state = 'void')
ORDER BY at_ms DESC LIMIT :limit

-- name: sent
-- Everything that was sent and that has not all ended.
SELECT entries FROM ledger_sent

-- name: has_ended
-- Whether an attempt is in the journal.
SELECT 1 FROM ledger_journal WHERE attempt = :attempt

-- name: recall_all
-- Ask all holders to give back what they do not use.
UPDATE ledger_rows SET recall_ms = :until_ms WHERE leased > 0

-- name: who_is_lent
-- Who is lent anything.
SELECT DISTINCT holder FROM ledger_leases ORDER BY holder
