-- Schema 13: messages that cannot be read as they were written, and what was found wrong. They keep their places in mailboxes.

CREATE TABLE set_aside (
    account_id TEXT NOT NULL,
    message_id BIGINT NOT NULL,
    since BIGINT NOT NULL,              -- UTC microseconds
    what TEXT NOT NULL,                 -- in words
    PRIMARY KEY (account_id, message_id)
) WITHOUT ROWID;
