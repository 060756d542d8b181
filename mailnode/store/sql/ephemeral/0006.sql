-- Schema 6: what policies remember, and what they said. Written without sync; what is lost is found out, and counted, anew.

-- By digest: nobody is to read here who writes to whom.
CREATE TABLE policy_memory (
    space TEXT NOT NULL, -- one for each use of a policy
    digest BLOB NOT NULL, -- of the key
    said TEXT NOT NULL,
    expires DOUBLE PRECISION NOT NULL, -- UTC seconds
    PRIMARY KEY (space, digest)
) WITHOUT ROWID;

CREATE INDEX policy_memory_by_expires ON policy_memory (space, expires);

-- How often each policy answered what, by hours.
CREATE TABLE policy_hour (
    hour BIGINT NOT NULL, -- since 1970, UTC
    policy TEXT NOT NULL,
    stage TEXT NOT NULL,
    answer TEXT NOT NULL,
    times BIGINT NOT NULL,
    score DOUBLE PRECISION NOT NULL, -- of all together
    seconds DOUBLE PRECISION NOT NULL, -- taken by all together
    PRIMARY KEY (hour, policy, stage, answer)
) WITHOUT ROWID;
