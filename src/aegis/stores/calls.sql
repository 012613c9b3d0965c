-- name: stretch
-- Attempts of a stretch of time that ended, newest first; those of one service where one is named.
SELECT attempt, state, service, model, at_ms, ended_ms, cost, body FROM ledger_journal
WHERE at_ms >= :since_ms AND at_ms < :until_ms AND (:service = '' OR service = :service) AND state <> 'sent'
ORDER BY at_ms DESC LIMIT :most;

-- name: of_incident
-- Attempts since a moment that were made for one incident, the oldest stretch of the journal after it, oldest first.
SELECT attempt, state, service, model, at_ms, ended_ms, cost, body FROM (
    SELECT attempt, state, service, model, at_ms, ended_ms, cost, body FROM ledger_journal
    WHERE at_ms >= :since_ms ORDER BY at_ms LIMIT :most
) AS stretch
WHERE body LIKE :said LIMIT :limit;

-- name: ends_by_service
-- How the attempts of each service ended since a day.
SELECT service, state, SUM(calls), SUM(cost) FROM ledger_totals WHERE day >= :since GROUP BY service, state;

-- name: sums
-- What a stretch of hours came to, kept apart by everything that a page shows spending by.
SELECT service, model, for_key, team, severity, purpose, SUM(calls), SUM(cost) FROM spend_hours
WHERE hour_ms >= :since_ms AND hour_ms < :until_ms
GROUP BY service, model, for_key, team, severity, purpose;
