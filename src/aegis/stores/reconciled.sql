-- name: totals
-- What each service came to on each day of a span, by model and end.
SELECT day, service, model, state, calls, cost FROM ledger_totals WHERE day >= :first AND day <= :last

-- name: unknown
-- Attempts of a service that began in a span and are counted at their worst case.
SELECT * FROM ledger_journal
WHERE at_ms >= :from_ms AND at_ms < :until_ms AND state = 'worst' AND service = :service ORDER BY attempt LIMIT :most

-- name: bodies
-- What the attempts of a service used that began in a span and were charged.
SELECT model, body FROM ledger_journal
WHERE at_ms >= :from_ms AND at_ms < :until_ms AND (state = 'settled' OR state = 'worst') AND service = :service LIMIT :most

-- name: kept
-- The comparisons of a span of days, the newest day first.
SELECT service, day, provider, billed, asked_ms, changed_ms, incident, body FROM reconciled_days
WHERE day >= :first AND day <= :last ORDER BY day DESC, service

-- name: keep
-- Put a comparison in the place of the one before.
INSERT INTO reconciled_days (service, day, provider, billed, asked_ms, changed_ms, incident, body)
VALUES (:service, :day, :provider, :billed, :asked_ms, :changed_ms, :incident, :body)
ON CONFLICT (service, day) DO UPDATE
SET provider = excluded.provider, billed = excluded.billed, asked_ms = excluded.asked_ms,
    changed_ms = excluded.changed_ms, incident = excluded.incident, body = excluded.body

-- name: forget
-- Comparisons older than anybody asks for.
DELETE FROM reconciled_days WHERE day < :before
