-- Who lives here. Small, replicated, changed rarely: every change first takes the one row of directory_version,
-- so changes stand in one order on any engine.

CREATE TABLE directory_version (
    one BIGINT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL
) WITHOUT ROWID;

INSERT INTO directory_version (one, number) VALUES (1, 0);

CREATE TABLE domain (
    name TEXT NOT NULL PRIMARY KEY, -- lower-case A-labels
    written TEXT NOT NULL,
    alias_of TEXT NOT NULL, -- name of another domain, or empty
    catch_all TEXT NOT NULL, -- address key, or empty
    separator TEXT NOT NULL,
    fixed BIGINT NOT NULL -- 1: named in the configuration file
) WITHOUT ROWID;

CREATE TABLE account (
    id TEXT NOT NULL PRIMARY KEY,
    address TEXT NOT NULL, -- primary address as written
    address_key TEXT NOT NULL,
    domain TEXT NOT NULL, -- of the primary address
    status TEXT NOT NULL,
    role TEXT NOT NULL,
    locale TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    created DOUBLE PRECISION NOT NULL, -- UTC seconds
    generation BIGINT NOT NULL
) WITHOUT ROWID;

CREATE INDEX account_by_domain ON account (domain, address_key);

CREATE INDEX account_by_role ON account (role, created, id);

CREATE TABLE address (
    address_key TEXT NOT NULL PRIMARY KEY,
    domain TEXT NOT NULL,
    written TEXT NOT NULL,
    account_id TEXT NOT NULL, -- empty for an alias
    kind TEXT NOT NULL, -- primary, further, or the kind of an alias
    detail TEXT NOT NULL -- keep, cut, refuse
) WITHOUT ROWID;

CREATE INDEX address_by_domain ON address (domain, address_key);

CREATE INDEX address_by_account ON address (account_id, address_key);

CREATE TABLE alias_target (
    address_key TEXT NOT NULL,
    place BIGINT NOT NULL,
    written TEXT NOT NULL,
    PRIMARY KEY (address_key, place)
) WITHOUT ROWID;

CREATE TABLE credential (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    secret TEXT NOT NULL,
    protocols TEXT NOT NULL, -- sorted, separated by commas
    label TEXT NOT NULL,
    created DOUBLE PRECISION NOT NULL
) WITHOUT ROWID;

CREATE INDEX credential_by_account ON credential (account_id, label);

-- Accounts whose generation was raised, with the directory's version at that moment: other processes read what is
-- newer than the version they know. A removed account keeps its row, so that its sessions end everywhere.
CREATE TABLE account_change (
    account_id TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
) WITHOUT ROWID;

CREATE INDEX account_change_by_version ON account_change (version);
