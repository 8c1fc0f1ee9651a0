-- +goose Up

-- Sign-ins at the console. The token itself is not here.
CREATE TABLE sessions (
  hash       bytea PRIMARY KEY, -- SHA-256 of the token
  key        bytea,             -- hash of the API key; NULL: by an issuer's word
  tenant     uuid NOT NULL,
  role       text NOT NULL,
  caller     text NOT NULL,
  supervises uuid[] NOT NULL,
  name       text NOT NULL,
  begun      timestamptz NOT NULL,
  seen       timestamptz NOT NULL,
  ends       timestamptz NOT NULL
);
CREATE INDEX sessions_ends ON sessions (ends);
GRANT SELECT, INSERT, DELETE, UPDATE (seen) ON sessions TO muniment_append;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 12::bigint';

-- +goose Down
DROP TABLE sessions;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 11::bigint';
