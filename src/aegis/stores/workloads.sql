-- name: register
-- Keep a program that is about to run.
INSERT INTO workloads (run_id, pid, started, boot, command, key_name, team, labels, registered_us)
VALUES (:run_id, :pid, :started, :boot, :command, :key_name, :team, :labels, :registered_us)

-- name: end
-- A program ended, once.
UPDATE workloads SET ended_us = :ended_us, exit_code = :exit_code WHERE run_id = :run_id AND ended_us IS NULL

-- name: running
-- Programs that nobody reported as ended, oldest first.
SELECT run_id, pid, started, boot, command, key_name, team, labels, registered_us FROM workloads
WHERE ended_us IS NULL ORDER BY registered_us, run_id
