-- name: last_change
-- The number of the newest change: readers look whether it moved.
SELECT COALESCE(MAX(changed), 0) FROM virtual_keys

-- name: all
-- Every key, oldest first.
SELECT key_id, key_hash, name, team, created_us, expires_us, revoked_us, held, body FROM virtual_keys
ORDER BY created_us, key_id

-- name: live_names
-- How many keys of a name may be used still.
SELECT COUNT(*) FROM virtual_keys
WHERE name = :name AND revoked_us IS NULL AND (expires_us IS NULL OR expires_us > :now_us)

-- name: add
-- Keep a new key.
INSERT INTO virtual_keys (key_id, key_hash, name, team, created_us, expires_us, revoked_us, body, changed)
VALUES (:key_id, :key_hash, :name, :team, :created_us, :expires_us, :revoked_us, :body, :changed)

-- name: end
-- End keys of a name at a moment, unless they ended before it: revoked, or replaced by a new one after a grace.
UPDATE virtual_keys SET revoked_us = :revoked_us, expires_us = COALESCE(:expires_us, expires_us), changed = :changed
WHERE (name = :name OR key_id = :name) AND revoked_us IS NULL AND (expires_us IS NULL OR expires_us > :now_us)

-- name: limit
-- What keys of a name may do from now on.
UPDATE virtual_keys SET body = :body, expires_us = :expires_us, changed = :changed
WHERE key_id = :key_id

-- name: hold
-- A key that may be used is held.
UPDATE virtual_keys SET held = :held, changed = :changed WHERE key_id = :key_id AND held = '' AND revoked_us IS NULL

-- name: give_back
-- A key is held no more.
UPDATE virtual_keys SET held = '', changed = :changed WHERE key_id = :key_id AND held = :held
