-- API keys of all roles, and those that are asked for over HTTP.

-- +goose Up

-- request is the digest of the Idempotency-Key by which it was asked for.
ALTER TABLE tenants ADD COLUMN request bytea UNIQUE;

-- A key with asked_by and without confirmed_by may wait for another caller to confirm it. It
-- has ended then in expires, which is all that the program before knows of, and ends is when
-- it will.
ALTER TABLE api_keys
  ADD COLUMN supervises   uuid[] NOT NULL DEFAULT '{}',
  ADD COLUMN request      bytea UNIQUE,
  ADD COLUMN asked_by     text NOT NULL DEFAULT '',
  ADD COLUMN confirmed_by text NOT NULL DEFAULT '',
  ADD COLUMN confirmed    timestamptz,
  ADD COLUMN ends         timestamptz;
GRANT UPDATE (expires, confirmed_by, confirmed) ON api_keys TO muniment_append;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 10::bigint';

-- +goose Down
-- The program before knows two roles, and takes the others for what they are not.
DELETE FROM api_keys WHERE role NOT IN ('depositor', 'compliance') OR expires = 'epoch';
REVOKE UPDATE (expires, confirmed_by, confirmed) ON api_keys FROM muniment_append;
ALTER TABLE api_keys DROP COLUMN supervises, DROP COLUMN request, DROP COLUMN asked_by, DROP COLUMN confirmed_by, DROP COLUMN confirmed, DROP COLUMN ends;
ALTER TABLE tenants DROP COLUMN request;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 9::bigint';
