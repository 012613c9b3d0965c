-- name: put
-- Write an episode down, or what became of it.
INSERT INTO anomalies (id, driver, opened_ms, closed_ms, body) VALUES (:id, :driver, :opened_ms, :closed_ms, :body)
ON CONFLICT (id) DO UPDATE SET closed_ms = excluded.closed_ms, body = excluded.body

-- name: open_about
-- The episode under way of one driver.
SELECT id FROM anomalies WHERE driver = :driver AND closed_ms = 0

-- name: open
-- Episodes under way, oldest first.
SELECT body FROM anomalies WHERE closed_ms = 0 ORDER BY opened_ms, id

-- name: newest
-- The newest episodes, newest first.
SELECT body FROM anomalies ORDER BY opened_ms DESC, id DESC LIMIT :limit

-- name: one
-- One episode.
SELECT body FROM anomalies WHERE id = :id
