-- API keys have a name and an end, and can be taken away.

-- +goose Up

ALTER TABLE api_keys ADD COLUMN name text NOT NULL DEFAULT '', ADD COLUMN expires timestamptz;
GRANT DELETE ON api_keys TO muniment_append;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 6::bigint';

-- +goose Down
-- The program before does not know that a key ends: those that do are taken away.
DELETE FROM api_keys WHERE expires IS NOT NULL;
REVOKE DELETE ON api_keys FROM muniment_append;
ALTER TABLE api_keys DROP COLUMN name, DROP COLUMN expires;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 5::bigint';
