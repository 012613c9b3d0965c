-- name: add_file
-- A file that a vendor took, or wrote for a batch.
INSERT INTO gateway_files (upstream, file_id, owner, made_ms, document, lines)
VALUES (:upstream, :file_id, :owner, :made_ms, :document, :lines)
ON CONFLICT (upstream, file_id) DO NOTHING

-- name: file
-- One file.
SELECT upstream, file_id, owner, made_ms, document, lines FROM gateway_files WHERE file_id = :file_id AND owner = :owner

-- name: files
-- The newest files of an owner.
SELECT upstream, file_id, owner, made_ms, document, lines FROM gateway_files
WHERE owner = :owner ORDER BY made_ms DESC, file_id DESC LIMIT :limit

-- name: count_files
-- How many files an owner has.
SELECT count(*) FROM gateway_files WHERE owner = :owner

-- name: drop_file
-- A file that the vendor deleted.
DELETE FROM gateway_files WHERE upstream = :upstream AND file_id = :file_id

-- name: add_batch
-- A batch that a vendor took.
INSERT INTO gateway_batches (upstream, batch_id, owner, made_ms, settled, cost, looked_ms, document, held, lines)
VALUES (:upstream, :batch_id, :owner, :made_ms, 0, 0, :made_ms, :document, :held, :lines)

-- name: batch
-- One batch.
SELECT upstream, batch_id, owner, made_ms, settled, cost, document, held, lines FROM gateway_batches
WHERE batch_id = :batch_id AND owner = :owner

-- name: batches
-- The newest batches of an owner, without what their lines can use.
SELECT upstream, batch_id, owner, made_ms, settled, cost, document, held, '' FROM gateway_batches
WHERE owner = :owner
ORDER BY made_ms DESC, batch_id DESC LIMIT :limit

-- name: open
-- Batches whose results are not known yet, the one that was looked at longest ago first.
SELECT upstream, batch_id, owner, made_ms, settled, cost, document, held, lines FROM gateway_batches
WHERE settled = 0 AND looked_ms <= :before_ms ORDER BY looked_ms LIMIT 1

-- name: looked
-- What the vendor said of a batch.
UPDATE gateway_batches SET looked_ms = :now_ms, document = :document
WHERE upstream = :upstream AND batch_id = :batch_id

-- name: settle
-- A batch's results are known and counted: its lines are not needed any more.
UPDATE gateway_batches SET settled = 1, cost = :cost, lines = :none
WHERE upstream = :upstream AND batch_id = :batch_id AND settled = 0

-- name: drop_batch
-- A batch that the vendor deleted after it was counted.
DELETE FROM gateway_batches WHERE upstream = :upstream AND batch_id = :batch_id AND settled = 1

-- name: forget
-- What is so old that its vendor has deleted it.
DELETE FROM gateway_batches WHERE settled = 1 AND made_ms < :before_ms

-- name: forget_files
-- The same of files.
DELETE FROM gateway_files WHERE made_ms < :before_ms
