-- The queue. Every row is keyed by shard first; one runner owns a shard. States: docs/queue.rst.

CREATE TABLE envelope (
    shard BIGINT NOT NULL,
    id TEXT NOT NULL,
    phase TEXT NOT NULL, -- staged, open, spread, gone
    held BIGINT NOT NULL,
    remaining BIGINT NOT NULL, -- recipients that are waiting or leased
    reverse_path TEXT NOT NULL,
    blob_id TEXT NOT NULL,
    created DOUBLE PRECISION NOT NULL, -- UTC seconds
    expires DOUBLE PRECISION NOT NULL,
    body TEXT NOT NULL,
    smtputf8 BIGINT NOT NULL,
    ret TEXT NOT NULL,
    envid TEXT NOT NULL,
    session TEXT NOT NULL,
    account_id TEXT NOT NULL,
    internaldate BIGINT NOT NULL,
    PRIMARY KEY (shard, id)
) WITHOUT ROWID;

CREATE INDEX envelope_by_blob ON envelope (shard, blob_id);

-- The few that were interrupted half-way: a start finishes them.
CREATE INDEX envelope_unfinished ON envelope (shard, phase) WHERE phase <> 'open';

-- due_at is when a recipient may be handed out: next_try of a waiting one, lease_until of a leased one, NULL when it is
-- done or its envelope is held, staged or gone. It alone decides, so every question is one range of one index.
CREATE TABLE recipient (
    shard BIGINT NOT NULL,
    envelope_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    destination TEXT NOT NULL,
    due_at DOUBLE PRECISION,
    state TEXT NOT NULL, -- waiting, leased, delivered, failed
    token TEXT NOT NULL, -- of the lease, or empty
    lease_until DOUBLE PRECISION NOT NULL,
    next_try DOUBLE PRECISION NOT NULL,
    attempts BIGINT NOT NULL,
    address TEXT NOT NULL,
    account_id TEXT NOT NULL,
    plan TEXT NOT NULL,
    notify TEXT NOT NULL, -- separated by commas
    orcpt TEXT NOT NULL,
    last_status TEXT NOT NULL,
    last_reply TEXT NOT NULL,
    last_host TEXT NOT NULL,
    delay_told BIGINT NOT NULL,
    PRIMARY KEY (shard, envelope_id, number)
) WITHOUT ROWID;

CREATE INDEX recipient_due ON recipient (shard, due_at, destination) WHERE due_at IS NOT NULL;

CREATE INDEX recipient_by_destination ON recipient (shard, destination, due_at, envelope_id) WHERE due_at IS NOT NULL;

CREATE INDEX recipient_by_envelope ON recipient (shard, envelope_id, destination, due_at, number) WHERE due_at IS NOT NULL;

CREATE INDEX recipient_leased ON recipient (shard, token) WHERE state = 'leased';

-- Facts of messages with local plans, encoded by facts_rows.
CREATE TABLE facts (
    shard BIGINT NOT NULL,
    envelope_id TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (shard, envelope_id)
);

-- Bytes of queued messages: data is NULL for those that lie in files. The id first: the sweep asks for it in all shards.
CREATE TABLE blob (
    id TEXT NOT NULL,
    shard BIGINT NOT NULL,
    size BIGINT NOT NULL,
    place TEXT NOT NULL,
    encoding TEXT NOT NULL,
    digest BLOB NOT NULL,
    data BLOB,
    PRIMARY KEY (id, shard)
);
