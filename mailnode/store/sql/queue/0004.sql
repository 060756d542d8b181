-- Schema 4: what is not tried until an operator says so.

CREATE TABLE pause (
    shard BIGINT NOT NULL,
    destination TEXT NOT NULL, -- '': all
    since DOUBLE PRECISION NOT NULL, -- UTC seconds
    PRIMARY KEY (shard, destination)
) WITHOUT ROWID;
