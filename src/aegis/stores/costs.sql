-- name: days
-- What each service came to on each day of a span, and how its calls ended.
SELECT day, service, state, SUM(calls), SUM(cost) FROM ledger_totals WHERE day >= :first AND day <= :last
GROUP BY day, service, state

-- name: attempts
-- Attempts of a span that ended, with what they were asked for.
SELECT at_ms, service, model, state, cost, body FROM ledger_journal
WHERE at_ms >= :from_ms AND at_ms < :until_ms AND state <> 'sent'

-- name: incidents
-- Incidents that opened in a span.
SELECT body FROM incidents WHERE opened_us >= :from_us AND opened_us < :until_us

-- name: emergencies
-- How often a budget reached its emergency level in a span.
SELECT COUNT(*) FROM ledger_crossings WHERE level = 'emergency' AND at_ms >= :from_ms AND at_ms < :until_ms
