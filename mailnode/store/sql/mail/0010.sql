-- Schema 10: who besides the owner may do what with a mailbox (RFC 4314), and which messages they have seen.

CREATE TABLE mailbox_right (
    account_id TEXT NOT NULL,           -- the owner
    mailbox_id BIGINT NOT NULL,
    identifier TEXT NOT NULL,           -- an account, or anyone; with a minus in front: what it has not
    rights TEXT NOT NULL,               -- letters
    PRIMARY KEY (account_id, mailbox_id, identifier)
) WITHOUT ROWID;

CREATE INDEX mailbox_right_identifier ON mailbox_right (account_id, identifier);

-- A reader without a row has not seen the message, whatever its owner has.
CREATE TABLE own_flag (
    account_id TEXT NOT NULL,           -- the owner
    mailbox_id BIGINT NOT NULL,
    uid BIGINT NOT NULL,
    reader TEXT NOT NULL,               -- an account
    seen BIGINT NOT NULL,               -- 1 or 0
    modseq BIGINT NOT NULL,             -- of the owner's account, told to this reader alone
    PRIMARY KEY (account_id, mailbox_id, uid, reader)
) WITHOUT ROWID;

CREATE INDEX own_flag_change ON own_flag (account_id, mailbox_id, reader, modseq);
