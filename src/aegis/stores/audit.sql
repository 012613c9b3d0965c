-- name: head
-- The last entry's number and hash.
SELECT seq, hash FROM audit_heads WHERE name = 'audit'

-- name: add
-- One more entry.
INSERT INTO audit_entries (seq, at_us, who, what, facts, previous, hash)
VALUES (:seq, :at_us, :who, :what, :facts, :previous, :hash)

-- name: move_head
-- The head follows in the same transaction.
INSERT INTO audit_heads (name, seq, hash) VALUES ('audit', :seq, :hash)
ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, hash = excluded.hash

-- name: all
-- Every entry as it is numbered.
SELECT seq, at_us, who, what, facts, previous, hash FROM audit_entries ORDER BY seq

-- name: since
-- The newest entries since a moment, newest first.
SELECT seq, at_us, who, what, facts, previous, hash FROM audit_entries
WHERE at_us >= :since_us ORDER BY seq DESC LIMIT :limit
