-- name: any
-- Whether there are accounts at all.
SELECT 1 FROM accounts LIMIT 1

-- name: account
-- One account.
SELECT name, role, password, created_us, disabled_us FROM accounts WHERE name = :name

-- name: accounts
-- All accounts, by name.
SELECT name, role, password, created_us, disabled_us FROM accounts ORDER BY name

-- name: admins
-- Accounts that may do everything.
SELECT COUNT(*) FROM accounts WHERE role = 'admin' AND disabled_us IS NULL AND name <> :besides

-- name: add
-- A new account.
INSERT INTO accounts (name, role, password, created_us) VALUES (:name, :role, :password, :now_us)
ON CONFLICT (name) DO NOTHING

-- name: set_role
-- Another role from now on.
UPDATE accounts SET role = :role WHERE name = :name

-- name: set_password
-- Another password from now on.
UPDATE accounts SET password = :password WHERE name = :name

-- name: disable
-- Nobody signs in with it any more.
UPDATE accounts SET disabled_us = :now_us WHERE name = :name AND disabled_us IS NULL

-- name: end_sessions
-- Every session of an account is over.
DELETE FROM account_sessions WHERE account = :name

-- name: end_session
-- One session is over.
DELETE FROM account_sessions WHERE session_hash = :session_hash

-- name: add_session
-- A session begins.
INSERT INTO account_sessions (session_hash, account, expires_us) VALUES (:session_hash, :name, :expires_us)

-- name: forget_sessions
-- Sessions that are over go.
DELETE FROM account_sessions WHERE expires_us <= :now_us

-- name: of_session
-- Whose session it is.
SELECT a.name, a.role FROM account_sessions s JOIN accounts a ON a.name = s.account
WHERE s.session_hash = :session_hash AND s.expires_us > :now_us AND a.disabled_us IS NULL

-- name: add_token
-- A new API token.
INSERT INTO api_tokens (id, token_hash, account, role, created_us, expires_us)
VALUES (:id, :token_hash, :account, :role, :now_us, :expires_us)

-- name: tokens
-- All API tokens, newest first.
SELECT id, account, role, created_us, expires_us, revoked_us FROM api_tokens ORDER BY created_us DESC, id

-- name: revoke_token
-- A token ends.
UPDATE api_tokens SET revoked_us = :now_us WHERE id = :id AND revoked_us IS NULL

-- name: of_token
-- Whose token it is, its role and its account's, if it may be used.
SELECT a.name, t.role, a.role, t.token_hash FROM api_tokens t JOIN accounts a ON a.name = t.account
WHERE t.id = :id AND t.revoked_us IS NULL AND t.expires_us > :now_us AND a.disabled_us IS NULL

-- name: ask
-- Something waits for a second person.
INSERT INTO approvals (id, what, asked_by, asked_us, expires_us, body, decided_by)
VALUES (:id, :what, :asked_by, :now_us, :expires_us, :body, '')

-- name: approval
-- One thing that waits or waited.
SELECT id, what, asked_by, asked_us, expires_us, body, decided_by, decided_us FROM approvals WHERE id = :id

-- name: waiting
-- What waits for a second person.
SELECT id, what, asked_by, asked_us, expires_us, body, decided_by, decided_us FROM approvals
WHERE decided_us IS NULL AND expires_us > :now_us ORDER BY asked_us, id

-- name: decide
-- A second person agreed, once.
UPDATE approvals SET decided_by = :decided_by, decided_us = :now_us
WHERE id = :id AND decided_us IS NULL AND expires_us > :now_us AND asked_by <> :decided_by
