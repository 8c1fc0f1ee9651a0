-- What each tenant deposits in a month, counted under the lock of the head.

-- +goose Up

CREATE TABLE usages (
  tenant   uuid    NOT NULL,
  month    integer NOT NULL,
  deposits bigint  NOT NULL CHECK (deposits > 0),
  bytes    bigint  NOT NULL CHECK (bytes >= 0),
  PRIMARY KEY (tenant, month)
) WITH (fillfactor = 50);
ALTER TABLE usages ENABLE ROW LEVEL SECURITY;
ALTER TABLE usages FORCE ROW LEVEL SECURITY;
CREATE POLICY append ON usages TO muniment_append USING (true) WITH CHECK (true);
CREATE POLICY read ON usages FOR SELECT TO muniment_read
  USING (tenant = nullif(current_setting('muniment.tenant', true), '')::uuid);
GRANT SELECT ON usages TO muniment_append, muniment_read;
GRANT INSERT, UPDATE ON usages TO muniment_append;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 9::bigint';

-- +goose Down
DROP TABLE usages;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 8::bigint';
