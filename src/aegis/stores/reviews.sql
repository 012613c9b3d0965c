-- name: begin
-- Put a review on record; one that is known is left alone.
INSERT INTO reviews (id, title, every, due, owner, how, done_us, done_by, told)
VALUES (:id, :title, :every, :due, :owner, :how, :done_us, :done_by, :told)
ON CONFLICT (id) DO NOTHING;

-- name: put
-- Put a review on record as it is now.
INSERT INTO reviews (id, title, every, due, owner, how, done_us, done_by, told)
VALUES (:id, :title, :every, :due, :owner, :how, :done_us, :done_by, :told)
ON CONFLICT (id) DO UPDATE SET title = excluded.title, every = excluded.every, due = excluded.due,
owner = excluded.owner, how = excluded.how, done_us = excluded.done_us, done_by = excluded.done_by, told = excluded.told;

-- name: told
-- The owner of a review was told that it is overdue since this day.
UPDATE reviews SET told = :due WHERE id = :id AND due = :due;

-- name: all
-- Every review, the one that is due first before the others.
SELECT id, title, every, due, owner, how, done_us, done_by, told FROM reviews ORDER BY due, every, id LIMIT :limit;
