-- name: page
-- Attempts of a span that ended, in the order of time, after a place in it.
SELECT attempt, at_ms, ended_ms, state, service, model, cost, worst, body FROM ledger_journal
WHERE at_ms >= :from_ms AND at_ms < :until_ms AND state <> 'sent' AND (at_ms > :from_ms OR attempt > :after)
ORDER BY at_ms, attempt LIMIT :limit

-- name: totals
-- What each service came to on each day of a span, by the ledger itself.
SELECT day, service, SUM(cost) FROM ledger_totals WHERE day >= :first AND day <= :last GROUP BY day, service

-- name: incidents
-- Incidents that opened in a span, oldest first, after a place in it.
SELECT body FROM incidents
WHERE opened_us >= :from_us AND opened_us < :until_us AND (opened_us > :from_us OR id > :after)
ORDER BY opened_us, id LIMIT :limit
