-- Schema 3: what accounts sent. Written without sync; what is lost is counted anew.

CREATE TABLE sent_hour (
    account_id TEXT NOT NULL,
    hour BIGINT NOT NULL, -- since 1970, UTC
    messages BIGINT NOT NULL,
    recipients BIGINT NOT NULL,
    strangers BIGINT NOT NULL, -- of the recipients, those it had never sent to
    PRIMARY KEY (account_id, hour)
) WITHOUT ROWID;

CREATE INDEX sent_hour_by_hour ON sent_hour (hour);

-- Whom accounts sent to, by digest: nobody is to read here who writes to whom.
CREATE TABLE correspondent (
    account_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    day BIGINT NOT NULL, -- of a recent message, since 1970
    PRIMARY KEY (account_id, digest)
) WITHOUT ROWID;

CREATE INDEX correspondent_by_day ON correspondent (day);

-- Accounts that sent unusually much.
CREATE TABLE loud (
    account_id TEXT PRIMARY KEY,
    since DOUBLE PRECISION NOT NULL, -- UTC seconds
    held BIGINT NOT NULL -- whether its mail waits for an operator
);
