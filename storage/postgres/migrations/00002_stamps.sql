-- Published checkpoints with the time-stamps that authorities gave for them: public, like
-- the log. record is how an evidence record begins: the verbatim note and the tokens.

-- +goose Up

CREATE TABLE stamps (
  size   bigint PRIMARY KEY CHECK (size >= 0),
  record bytea  NOT NULL
);
ALTER TABLE stamps ALTER COLUMN record SET STORAGE EXTERNAL; -- signatures do not compress

-- renewals date the stamps of sizes first to last again, before what they rested on ends.
CREATE TABLE renewals (
  number bigint PRIMARY KEY CHECK (number > 0),
  first  bigint NOT NULL CHECK (first >= 0),
  last   bigint NOT NULL CHECK (last >= first),
  data   bytea  NOT NULL
);
ALTER TABLE renewals ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX renewals_by_size ON renewals (first, last);

GRANT SELECT ON stamps, renewals TO muniment_append, muniment_read;
GRANT INSERT ON stamps, renewals TO muniment_append;

CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 2::bigint';

-- +goose Down
-- A ledger is not taken away by a migration.
SELECT 1/0 AS refused;
