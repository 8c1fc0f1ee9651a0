-- The tables of Trillian, which builds the log's tree a second time. Names and columns are
-- those that its PostgreSQL driver asks for.
--
-- Two things are left out. Foreign keys: they cost a quarter, and Trillian alone writes
-- here. The indexes by leaf hash and by leaf identity on sequencedleafdata: nobody looks
-- leaves up by them, and both are in random order. It has no queue: leaves come with their
-- place.

-- +goose Up

CREATE TYPE treestate AS ENUM ('ACTIVE', 'FROZEN', 'DRAINING');
CREATE TYPE treetype AS ENUM ('LOG', 'MAP', 'PREORDERED_LOG');

CREATE TABLE trees (
  treeid                bigint    PRIMARY KEY,
  treestate             treestate NOT NULL,
  treetype              treetype  NOT NULL,
  displayname           varchar(20),
  description           varchar(200),
  createtimemillis      bigint    NOT NULL,
  updatetimemillis      bigint    NOT NULL,
  maxrootdurationmillis bigint    NOT NULL,
  deleted               boolean,
  deletetimemillis      bigint
);
CREATE TABLE treecontrol (
  treeid                  bigint  PRIMARY KEY,
  signingenabled          boolean NOT NULL,
  sequencingenabled       boolean NOT NULL,
  sequenceintervalseconds integer NOT NULL
);

-- subtree holds eight levels of the tree in a row, which is rewritten as it fills.
CREATE TABLE subtree (
  treeid    bigint NOT NULL,
  subtreeid bytea  NOT NULL CHECK (octet_length(subtreeid) <= 255),
  nodes     bytea  NOT NULL,
  CONSTRAINT subtree_pk PRIMARY KEY (treeid, subtreeid)
) WITH (fillfactor = 50);
ALTER TABLE subtree ALTER COLUMN nodes SET STORAGE EXTERNAL; -- hashes do not compress

-- treehead gets a row with each integration; munimentd removes the old ones.
CREATE TABLE treehead (
  treeid            bigint NOT NULL,
  treeheadtimestamp bigint,
  treesize          bigint,
  roothash          bytea  NOT NULL CHECK (octet_length(roothash) <= 255),
  rootsignature     bytea  NOT NULL CHECK (octet_length(rootsignature) <= 1024),
  PRIMARY KEY (treeid, treeheadtimestamp)
);

CREATE TABLE leafdata (
  treeid              bigint NOT NULL,
  leafidentityhash    bytea  NOT NULL CHECK (octet_length(leafidentityhash) <= 255),
  leafvalue           bytea  NOT NULL,
  extradata           bytea,
  queuetimestampnanos bigint NOT NULL,
  PRIMARY KEY (treeid, leafidentityhash)
);
CREATE TABLE sequencedleafdata (
  treeid                  bigint NOT NULL,
  sequencenumber          bigint NOT NULL CHECK (sequencenumber >= 0),
  leafidentityhash        bytea  NOT NULL CHECK (octet_length(leafidentityhash) <= 255),
  merkleleafhash          bytea  NOT NULL CHECK (octet_length(merkleleafhash) <= 255),
  integratetimestampnanos bigint NOT NULL,
  PRIMARY KEY (treeid, sequencenumber)
);

-- add_sequenced_leaves takes what Trillian has put into the temporary table
-- tempaddsequencedleaves, but for what is there already, and tells of each which it is.
-- +goose StatementBegin
CREATE FUNCTION add_sequenced_leaves()
RETURNS TABLE (leaf_identity_hash bytea, is_duplicate_leaf_data boolean, is_duplicate_sequenced_leaf_data boolean)
LANGUAGE plpgsql AS $$
BEGIN
  -- One at a time: a duplicate of what another is adding must be seen.
  LOCK TABLE leafdata, sequencedleafdata IN SHARE ROW EXCLUSIVE MODE;
  RETURN QUERY
  WITH given AS (
    SELECT t.*,
      EXISTS (SELECT FROM leafdata l WHERE l.treeid = t.treeid AND l.leafidentityhash = t.leafidentityhash) AS known,
      EXISTS (SELECT FROM sequencedleafdata s WHERE s.treeid = t.treeid AND s.sequencenumber = t.sequencenumber) AS taken
    FROM tempaddsequencedleaves t
  ), kept AS (
    INSERT INTO leafdata (treeid, leafidentityhash, leafvalue, extradata, queuetimestampnanos)
    SELECT g.treeid, g.leafidentityhash, g.leafvalue, g.extradata, g.queuetimestampnanos FROM given g WHERE NOT g.known AND NOT g.taken
  ), placed AS (
    INSERT INTO sequencedleafdata (treeid, leafidentityhash, merkleleafhash, sequencenumber, integratetimestampnanos)
    SELECT g.treeid, g.leafidentityhash, g.merkleleafhash, g.sequencenumber, 0 FROM given g WHERE NOT g.known AND NOT g.taken
  )
  SELECT g.leafidentityhash, g.known, g.taken FROM given g;
END
$$;
-- +goose StatementEnd

GRANT SELECT, INSERT, UPDATE, DELETE ON trees, treecontrol, subtree, treehead, leafdata, sequencedleafdata TO muniment_append;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 3::bigint';

-- +goose Down
DROP FUNCTION add_sequenced_leaves();
DROP TABLE sequencedleafdata, leafdata, treehead, subtree, treecontrol, trees;
DROP TYPE treetype;
DROP TYPE treestate;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 2::bigint';
