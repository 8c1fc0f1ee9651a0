-- Who read, exported, held or erased what: pages of events, added and never changed.

-- +goose Up

-- text is a leaf of the day's tree. Each page is of one tenant.
CREATE TABLE trail (
  day    date    NOT NULL,
  number bigint  NOT NULL CHECK (number >= 0),
  tenant uuid    NOT NULL,
  events integer NOT NULL CHECK (events > 0),
  text   bytea   NOT NULL,
  PRIMARY KEY (day, number)
);
CREATE INDEX trail_by_tenant ON trail (tenant, day, number);

-- trail_days are the days to which nothing is added any more.
CREATE TABLE trail_days (
  day    date   PRIMARY KEY,
  pages  bigint NOT NULL CHECK (pages > 0),
  events bigint NOT NULL CHECK (events > 0),
  root   bytea  NOT NULL CHECK (octet_length(root) = 32)
);

-- trail_head is the lock of the trail, and where it has come to.
CREATE TABLE trail_head (
  one    boolean PRIMARY KEY DEFAULT true CHECK (one),
  day    date   NOT NULL,
  pages  bigint NOT NULL,
  events bigint NOT NULL,
  peaks  bytea  NOT NULL,
  time   bigint NOT NULL -- milliseconds since 1970
) WITH (fillfactor = 10);
INSERT INTO trail_head (day, pages, events, peaks, time) VALUES ('1970-01-01', 0, 0, '', 0);

ALTER TABLE trail ENABLE ROW LEVEL SECURITY;
ALTER TABLE trail FORCE ROW LEVEL SECURITY;
CREATE POLICY append ON trail TO muniment_append USING (true) WITH CHECK (true);
CREATE POLICY read ON trail FOR SELECT TO muniment_read
  USING (tenant = nullif(current_setting('muniment.tenant', true), '')::uuid);
GRANT SELECT ON trail TO muniment_append, muniment_read;
GRANT INSERT ON trail TO muniment_append;
GRANT SELECT, INSERT ON trail_days TO muniment_append;
GRANT SELECT, UPDATE ON trail_head TO muniment_append;

-- Not the owner either, by mistake. Who may alter the table can take this away; the log then
-- still tells what was there.
-- +goose StatementBegin
CREATE FUNCTION trail_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the trail is never changed' USING ERRCODE = 'insufficient_privilege';
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION trail_is_kept() FROM PUBLIC;
CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON trail FOR EACH STATEMENT EXECUTE FUNCTION trail_is_kept();
CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON trail_days FOR EACH STATEMENT EXECUTE FUNCTION trail_is_kept();

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 11::bigint';

-- +goose Down
DROP TABLE trail, trail_days, trail_head;
DROP FUNCTION trail_is_kept();

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 10::bigint';
