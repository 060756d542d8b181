-- Schema 7: what is noted about mailboxes and accounts (RFC 5464).

CREATE TABLE annotation (
    account_id TEXT NOT NULL,
    mailbox_id BIGINT NOT NULL,         -- 0: the account itself
    reader TEXT NOT NULL,               -- the account whose own it is; empty: shared
    entry TEXT NOT NULL,                -- lower case, /private/... or /shared/...
    value BLOB NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, reader, entry)
) WITHOUT ROWID;
