-- Schema 2: COPY of many messages in several units, none of which anybody sees before the last.

CREATE TABLE stage (
    account_id TEXT PRIMARY KEY,        -- one at a time
    mailbox_id BIGINT NOT NULL,         -- where the copies go
    token TEXT NOT NULL,                -- of who makes them; empty: abandoned, being removed
    modseq BIGINT NOT NULL,             -- of the copies
    first_uid BIGINT NOT NULL,
    next_uid BIGINT NOT NULL,           -- one above the last that stands
    touched_at BIGINT NOT NULL          -- UTC microseconds of the last unit
) WITHOUT ROWID;

-- The first UID of copies on their way, above UIDNEXT: nothing else may come so far.
ALTER TABLE mailbox ADD COLUMN staged_uid BIGINT;
