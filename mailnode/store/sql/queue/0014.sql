-- Schema 14: what scripts of accounts must not do twice: who was answered, what came before, which failure was told.

CREATE TABLE remembered (
    shard BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    until DOUBLE PRECISION NOT NULL, -- UTC seconds
    PRIMARY KEY (shard, account_id, kind, key)
) WITHOUT ROWID;

CREATE INDEX remembered_until ON remembered (shard, until);
