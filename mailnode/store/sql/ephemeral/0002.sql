-- MTA-STS policies of other domains (RFC 8461), each until it expires.

CREATE TABLE sts_policy (
    domain TEXT NOT NULL PRIMARY KEY,
    id TEXT NOT NULL, -- of the record under which it was fetched
    mode TEXT NOT NULL, -- enforce, testing or none
    mx TEXT NOT NULL, -- patterns, with a space between
    max_age BIGINT NOT NULL, -- seconds
    fetched DOUBLE PRECISION NOT NULL, -- UTC seconds
    expires DOUBLE PRECISION NOT NULL -- UTC seconds
) WITHOUT ROWID;

CREATE INDEX sts_policy_by_expires ON sts_policy (expires);
