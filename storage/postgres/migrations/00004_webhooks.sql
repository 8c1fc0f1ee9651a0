-- Whom a tenant wants to be told of what is published, and how far each has come.

-- +goose Up

-- sealed is the subscription under the tenant's key. state is opaque; version counts how
-- often it was replaced, so that of two processes one is told that it is late.
CREATE TABLE webhooks (
  id      uuid PRIMARY KEY,
  tenant  uuid        NOT NULL,
  created timestamptz NOT NULL,
  sealed  bytea       NOT NULL,
  state   bytea       NOT NULL,
  version bigint      NOT NULL CHECK (version >= 0)
);
CREATE INDEX webhooks_by_tenant ON webhooks (tenant);

GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks TO muniment_append;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 4::bigint';

-- +goose Down
DROP TABLE webhooks;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 3::bigint';
