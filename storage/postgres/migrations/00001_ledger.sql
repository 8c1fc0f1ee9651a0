-- The schema's name is in search_path: one schema holds one depository.

-- +goose Up

-- +goose StatementBegin
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['muniment_append', 'muniment_read'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', name);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another migration was faster
      END;
    END IF;
    IF NOT pg_has_role(current_user, name, 'MEMBER') THEN
      EXECUTE format('GRANT %I TO CURRENT_USER', name);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), name);
  END LOOP;
END
$$;
-- +goose StatementEnd

-- The public log: what anyone may read over HTTP.

-- head's row is the lock of the log. peaks is the compact range of the tree: 32 bytes a
-- full subtree, largest first. Times are milliseconds since 1970.
CREATE TABLE head (
  one   boolean PRIMARY KEY DEFAULT true CHECK (one),
  size  bigint NOT NULL CHECK (size >= 0),
  root  bytea  NOT NULL CHECK (octet_length(root) = 32),
  time  bigint NOT NULL,
  batch uuid   NOT NULL,
  peaks bytea  NOT NULL
) WITH (fillfactor = 10);
INSERT INTO head (size, root, time, batch, peaks)
VALUES (0, sha256(''), 0, '00000000-0000-0000-0000-000000000000', '');

-- entries holds runs of consecutive entries that were committed together with one time,
-- 64 at most: each entry with its length before it in 16 bits, big-endian. The first run
-- of a batch has its id, by which a process whose COMMIT was not answered finds it.
CREATE TABLE entries (
  first bigint PRIMARY KEY,
  count integer NOT NULL CHECK (count BETWEEN 1 AND 64),
  time  bigint NOT NULL,
  batch uuid UNIQUE,
  data  bytea  NOT NULL
);
ALTER TABLE entries ALTER COLUMN data SET STORAGE EXTERNAL; -- hashes do not compress
CREATE INDEX entries_by_time ON entries (time, first);

-- tiles holds the tiles of C2SP tlog-tiles: their bytes are the served ones. The last of
-- each level grows.
CREATE TABLE tiles (
  level  smallint NOT NULL,
  index  bigint   NOT NULL,
  hashes bytea    NOT NULL CHECK (octet_length(hashes) BETWEEN 32 AND 8192 AND octet_length(hashes) % 32 = 0),
  PRIMARY KEY (level, index)
) WITH (fillfactor = 70);
ALTER TABLE tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE TABLE published (
  one  boolean PRIMARY KEY DEFAULT true CHECK (one),
  size bigint NOT NULL,
  note bytea  NOT NULL
) WITH (fillfactor = 10);
INSERT INTO published (size, note) VALUES (-1, '');

-- What belongs to tenants.

CREATE TABLE deposits (
  index     bigint NOT NULL,
  tenant    uuid   NOT NULL,
  id        uuid   NOT NULL,
  case_seq  bigint NOT NULL,
  case_prev bytea,
  body      bytea  NOT NULL,
  PRIMARY KEY (index)
) PARTITION BY RANGE (index);
ALTER TABLE deposits ALTER COLUMN body SET STORAGE EXTERNAL; -- it is sealed
CREATE INDEX deposits_by_tenant ON deposits (tenant, index);

-- secrets stands apart, so that erasure can destroy it and nothing else.
CREATE TABLE secrets (
  index  bigint PRIMARY KEY,
  tenant uuid  NOT NULL,
  secret bytea NOT NULL
);
CREATE TABLE deposit_id (
  id     uuid PRIMARY KEY,
  tenant uuid   NOT NULL,
  index  bigint NOT NULL
);
-- Digests stand before the tenant in the keys that follow: they tell rows apart at the
-- first column that is compared.
CREATE TABLE idempotency (
  tenant uuid    NOT NULL,
  key    bytea   NOT NULL,
  first  bigint  NOT NULL,
  count  integer NOT NULL CHECK (count > 0),
  PRIMARY KEY (key, tenant)
);
CREATE TABLE terms (
  tenant uuid   NOT NULL,
  term   bytea  NOT NULL,
  index  bigint NOT NULL,
  PRIMARY KEY (term, tenant, index)
);
CREATE TABLE cases (
  tenant   uuid   NOT NULL,
  contract bytea  NOT NULL,
  seq      bigint NOT NULL CHECK (seq > 0),
  leaf     bytea  NOT NULL CHECK (octet_length(leaf) = 32),
  PRIMARY KEY (contract, tenant)
) WITH (fillfactor = 80);

-- Who may call.

CREATE TABLE tenants (
  id           uuid PRIMARY KEY,
  name         text NOT NULL,
  registration text NOT NULL,
  created      timestamptz NOT NULL
);
CREATE TABLE api_keys (
  hash    bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
  tenant  uuid NOT NULL,
  role    text NOT NULL,
  created timestamptz NOT NULL
);

-- What processes need to agree.

CREATE TABLE lease (
  one    boolean PRIMARY KEY DEFAULT true CHECK (one),
  holder uuid NOT NULL,
  until  timestamptz NOT NULL
) WITH (fillfactor = 10);
INSERT INTO lease (holder, until) VALUES ('00000000-0000-0000-0000-000000000000', '-infinity');
CREATE TABLE anchor (
  one  boolean PRIMARY KEY DEFAULT true CHECK (one),
  body bytea NOT NULL CHECK (octet_length(body) BETWEEN 1 AND 4000)
) WITH (fillfactor = 10);

-- extend_deposits makes room for indexes below upto and returns where it ends. A new
-- partition is attached, and not created in place, since only that lets others write
-- meanwhile.
-- +goose StatementBegin
CREATE FUNCTION extend_deposits(upto bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  width constant bigint := 10000000;
  part  bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('extend_deposits ' || current_schema(), 0));
  SELECT count(*) INTO part FROM pg_inherits WHERE inhparent = 'deposits'::regclass;
  WHILE part * width < upto LOOP
    EXECUTE format('CREATE TABLE deposits_%s (LIKE deposits INCLUDING ALL)', part);
    EXECUTE format('ALTER TABLE deposits ATTACH PARTITION deposits_%s FOR VALUES FROM (%s) TO (%s)',
      part, part * width, (part + 1) * width);
    part := part + 1;
  END LOOP;
  RETURN part * width;
END
$$;
-- +goose StatementEnd
SELECT extend_deposits(1);

-- ledger_version tells programs whether they know this schema, without goose's table.
CREATE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 1::bigint';

-- The second fence between tenants: whoever forgets the tenant in a query sees nothing.
-- +goose StatementBegin
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['deposits', 'secrets', 'deposit_id', 'idempotency', 'terms', 'cases'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY append ON %I TO muniment_append USING (true) WITH CHECK (true)', name);
    EXECUTE format('CREATE POLICY read ON %I FOR SELECT TO muniment_read
      USING (tenant = nullif(current_setting(''muniment.tenant'', true), '''')::uuid)', name);
    EXECUTE format('GRANT SELECT ON %I TO muniment_append, muniment_read', name);
    EXECUTE format('GRANT INSERT ON %I TO muniment_append', name);
  END LOOP;
END
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION extend_deposits(bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION ledger_version() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION extend_deposits(bigint), ledger_version() TO muniment_append;
GRANT SELECT ON head, entries, tiles, published TO muniment_append, muniment_read;
GRANT UPDATE ON head, tiles, published, cases, lease, anchor TO muniment_append;
GRANT INSERT ON entries, tiles, tenants, api_keys, anchor TO muniment_append;
GRANT SELECT ON lease, anchor, tenants, api_keys TO muniment_append;

-- +goose Down
-- A ledger is not taken away by a migration.
SELECT 1/0 AS refused;
