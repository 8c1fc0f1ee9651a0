-- Rotations of the keys that wrap data keys, and who runs and has which.

-- +goose Up

CREATE TABLE key_states (
  tenant  uuid PRIMARY KEY,
  state   bytea  NOT NULL,
  version bigint NOT NULL CHECK (version > 0)
) WITH (fillfactor = 50);
CREATE TABLE attendants (
  id    uuid PRIMARY KEY,
  holds bytea       NOT NULL,
  until timestamptz NOT NULL
) WITH (fillfactor = 10);
GRANT SELECT, INSERT, UPDATE ON key_states TO muniment_append;
GRANT SELECT, INSERT, UPDATE, DELETE ON attendants TO muniment_append;

-- +goose StatementBegin
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'muniment_reseal') THEN
    BEGIN
      CREATE ROLE muniment_reseal NOLOGIN NOINHERIT;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another migration was faster
    END;
  END IF;
  IF NOT pg_has_role(current_user, 'muniment_reseal', 'MEMBER') THEN
    GRANT muniment_reseal TO CURRENT_USER;
  END IF;
  EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO muniment_reseal', current_schema());
END
$$;
-- +goose StatementEnd

GRANT SELECT ON secrets TO muniment_reseal;
GRANT UPDATE (secret) ON secrets TO muniment_reseal;
CREATE POLICY reseal ON secrets TO muniment_reseal USING (true) WITH CHECK (true);

-- reseal_secrets replaces the secrets of rows of one tenant, each if it is the old one still,
-- and counts those; and those that are not the tenant's, or are not there. One that was
-- erased has no bytes, so it is never the old one. Nobody may replace any but through here.
-- +goose StatementBegin
CREATE FUNCTION reseal_secrets(whose uuid, which bigint[], old bytea[], fresh bytea[], OUT changed integer, OUT strange integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  IF EXISTS (SELECT FROM unnest(old, fresh) AS g(old, fresh) WHERE octet_length(g.old) = 0 OR octet_length(g.fresh) = 0) THEN
    RAISE EXCEPTION 'a secret of no bytes is one that was erased';
  END IF;
  SELECT count(*) INTO strange FROM unnest(which) AS g(index)
    WHERE NOT EXISTS (SELECT FROM secrets s WHERE s.index = g.index AND s.tenant = whose);
  UPDATE secrets s SET secret = g.fresh FROM unnest(which, old, fresh) AS g(index, old, fresh)
    WHERE s.index = g.index AND s.tenant = whose AND s.secret = g.old;
  GET DIAGNOSTICS changed = ROW_COUNT;
END
$$;
-- +goose StatementEnd
ALTER FUNCTION reseal_secrets(uuid, bigint[], bytea[], bytea[]) OWNER TO muniment_reseal;
REVOKE ALL ON FUNCTION reseal_secrets(uuid, bigint[], bytea[], bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reseal_secrets(uuid, bigint[], bytea[], bytea[]) TO muniment_append;

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM muniment_reseal', current_schema());
END
$$;
-- +goose StatementEnd

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 7::bigint';

-- +goose Down
DROP FUNCTION reseal_secrets(uuid, bigint[], bytea[], bytea[]);
DROP POLICY reseal ON secrets;
REVOKE ALL ON secrets FROM muniment_reseal;
DROP TABLE key_states, attendants;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 6::bigint';
