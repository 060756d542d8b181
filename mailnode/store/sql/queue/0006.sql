-- Schema 6: recipients that bounced for an account.

CREATE TABLE suppression (
    shard BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    recipient TEXT NOT NULL, -- an address' key
    bounces BIGINT NOT NULL, -- 0: suppressed by an operator
    bounced_at DOUBLE PRECISION NOT NULL, -- UTC seconds, as all times
    refused_until DOUBLE PRECISION NOT NULL,
    forget_at DOUBLE PRECISION NOT NULL,
    status TEXT NOT NULL,
    reply TEXT NOT NULL,
    PRIMARY KEY (shard, account_id, recipient)
) WITHOUT ROWID;

CREATE INDEX suppression_by_account ON suppression (shard, account_id, forget_at);

CREATE INDEX suppression_by_end ON suppression (shard, forget_at);
