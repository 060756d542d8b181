-- Schema 5: what the filter of each account has learnt, and mailboxes whose messages go by themselves.

CREATE TABLE filter (
    account_id TEXT PRIMARY KEY,
    modseq BIGINT NOT NULL,             -- changes up to here were looked at
    junk BIGINT NOT NULL,               -- messages learnt, of which the counts of words are
    good BIGINT NOT NULL,
    words BIGINT NOT NULL,              -- rows of filter_word
    senders BIGINT NOT NULL,            -- rows of reputation
    learnt_at BIGINT NOT NULL           -- UTC microseconds of the last one; 0: none
) WITHOUT ROWID;

CREATE TABLE filter_word (
    account_id TEXT NOT NULL,
    word BIGINT NOT NULL,               -- its number, of 32 bits
    junk BIGINT NOT NULL,               -- messages it was in
    good BIGINT NOT NULL,
    PRIMARY KEY (account_id, word)
) WITHOUT ROWID;

-- Messages that were learnt: each once, and the other way round when its reader changes their mind.
CREATE TABLE filter_message (
    account_id TEXT NOT NULL,
    message BIGINT NOT NULL,            -- its key, of the header
    kind TEXT NOT NULL,                 -- junk or good
    keyword TEXT NOT NULL,              -- what keywords said then: junk, good or nothing
    placed BIGINT NOT NULL,             -- modseq of the placement that was looked at last
    sender TEXT NOT NULL,               -- of reputation, or empty
    learnt_at BIGINT NOT NULL,          -- UTC microseconds
    PRIMARY KEY (account_id, message)
) WITHOUT ROWID;

CREATE INDEX filter_message_age ON filter_message (learnt_at);

CREATE TABLE reputation (
    account_id TEXT NOT NULL,
    sender TEXT NOT NULL,               -- a domain, or a network
    junk DOUBLE PRECISION NOT NULL,     -- messages, the older the less
    good DOUBLE PRECISION NOT NULL,
    counted_at BIGINT NOT NULL,         -- UTC microseconds, when both were as they stand here
    PRIMARY KEY (account_id, sender)
) WITHOUT ROWID;

CREATE INDEX reputation_age ON reputation (counted_at);

-- Seconds after which the sweep expunges what was placed there; NULL: never.
ALTER TABLE mailbox ADD COLUMN kept BIGINT;

CREATE INDEX mailbox_kept ON mailbox (account_id) WHERE kept IS NOT NULL;
