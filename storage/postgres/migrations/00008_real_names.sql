-- How the identity of a tenant was established, and by whom.

-- +goose Up

ALTER TABLE tenants ADD COLUMN verified text NOT NULL DEFAULT '', ADD COLUMN verified_by text NOT NULL DEFAULT '';

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 8::bigint';

-- +goose Down
ALTER TABLE tenants DROP COLUMN verified, DROP COLUMN verified_by;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 7::bigint';
