-- Schema 15: filter scripts of accounts, the last versions of each, and which one is active.

CREATE TABLE script (
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,            -- from 1 on; the highest one is the script
    size BIGINT NOT NULL,               -- octets
    digest TEXT NOT NULL,               -- SHA-256 of the source, hexadecimal
    stored BIGINT NOT NULL,             -- UTC microseconds
    source BLOB NOT NULL,               -- last: what is listed reads none of it
    PRIMARY KEY (account_id, name, version)
) WITHOUT ROWID;

-- A table of its own: another one is made active without a source being written again.
CREATE TABLE active_script (
    account_id TEXT PRIMARY KEY,
    name TEXT NOT NULL
) WITHOUT ROWID;
