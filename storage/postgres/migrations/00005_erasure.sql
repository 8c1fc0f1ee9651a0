-- Lawful erasure: the one way in which anything of a deposit is ever destroyed.

-- +goose Up

-- +goose StatementBegin
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'muniment_erase') THEN
    BEGIN
      CREATE ROLE muniment_erase NOLOGIN NOINHERIT;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another migration was faster
    END;
  END IF;
  IF NOT pg_has_role(current_user, 'muniment_erase', 'MEMBER') THEN
    GRANT muniment_erase TO CURRENT_USER;
  END IF;
  EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO muniment_erase', current_schema());
END
$$;
-- +goose StatementEnd

GRANT SELECT, UPDATE ON deposits, secrets TO muniment_erase;
GRANT SELECT, DELETE ON terms TO muniment_erase;
CREATE POLICY erase ON deposits TO muniment_erase USING (true) WITH CHECK (true);
CREATE POLICY erase ON secrets TO muniment_erase USING (true) WITH CHECK (true);
CREATE POLICY erase ON terms TO muniment_erase USING (true);

-- erase_deposit destroys the secret and the sealed record of one deposit and takes it away
-- from the terms named; false if the deposit is not that tenant's. Nobody may do any of it
-- but through here. A secret of no bytes is one that was erased.
-- +goose StatementBegin
CREATE FUNCTION erase_deposit(whose uuid, which bigint, what bytea[]) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  UPDATE deposits SET body = '' WHERE index = which AND tenant = whose;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE secrets SET secret = '' WHERE index = which AND tenant = whose;
  DELETE FROM terms WHERE term = ANY (what) AND tenant = whose AND index = which;
  RETURN true;
END
$$;
-- +goose StatementEnd
ALTER FUNCTION erase_deposit(uuid, bigint, bytea[]) OWNER TO muniment_erase;
REVOKE ALL ON FUNCTION erase_deposit(uuid, bigint, bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_deposit(uuid, bigint, bytea[]) TO muniment_append;

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM muniment_erase', current_schema());
END
$$;
-- +goose StatementEnd

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 5::bigint';

-- +goose Down
DROP FUNCTION erase_deposit(uuid, bigint, bytea[]);
DROP POLICY erase ON deposits;
DROP POLICY erase ON secrets;
DROP POLICY erase ON terms;
REVOKE ALL ON deposits, secrets, terms FROM muniment_erase;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 4::bigint';
