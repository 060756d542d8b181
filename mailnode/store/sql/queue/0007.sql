-- Schema 7: what became of mail that is gone from the queue, for a while.

CREATE TABLE past (
    shard BIGINT NOT NULL,
    envelope_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    ended_at DOUBLE PRECISION NOT NULL, -- UTC seconds
    state TEXT NOT NULL, -- delivered, failed
    reverse_path TEXT NOT NULL,
    created DOUBLE PRECISION NOT NULL, -- UTC seconds
    size BIGINT NOT NULL, -- octets of the message
    address TEXT NOT NULL,
    destination TEXT NOT NULL,
    last_status TEXT NOT NULL,
    last_reply TEXT NOT NULL,
    last_host TEXT NOT NULL,
    last_address TEXT NOT NULL,
    last_tls TEXT NOT NULL,
    earlier TEXT NOT NULL, -- tries before the last one, JSON; '': none
    PRIMARY KEY (shard, envelope_id, number)
) WITHOUT ROWID;

CREATE INDEX past_by_end ON past (shard, ended_at);
