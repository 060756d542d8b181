-- Schema 3: what each recipient's tries came to, and that one began.

-- Of one recipient the last few: slot is the number of the try, going round.
CREATE TABLE attempt (
    shard BIGINT NOT NULL,
    envelope_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    tried_at DOUBLE PRECISION NOT NULL, -- UTC seconds
    state TEXT NOT NULL, -- what it led to: waiting, delivered, failed
    status TEXT NOT NULL,
    reply TEXT NOT NULL,
    host TEXT NOT NULL,
    address TEXT NOT NULL,
    tls TEXT NOT NULL,
    PRIMARY KEY (shard, envelope_id, number, slot)
) WITHOUT ROWID;

-- Settlements so far. One that ended with its first has no attempts to look for.
ALTER TABLE envelope ADD COLUMN settlements BIGINT NOT NULL DEFAULT 0;

ALTER TABLE recipient ADD COLUMN began DOUBLE PRECISION NOT NULL DEFAULT 0; -- when its last try began, UTC seconds

ALTER TABLE recipient ADD COLUMN unsettled BIGINT NOT NULL DEFAULT 0; -- tries that began since one was settled
