-- Schema 1 of a mail partition. Everything is keyed by account first; nothing joins two accounts.
-- Times are UTC microseconds, except lease.expires (seconds). Words: docs/store.rst.

CREATE TABLE account (
    account_id TEXT PRIMARY KEY,
    modseq BIGINT NOT NULL,             -- of the last change; the row lock that orders changes
    next_mailbox BIGINT NOT NULL,
    next_message BIGINT NOT NULL,
    next_uidvalidity BIGINT NOT NULL,
    quota_bytes BIGINT NOT NULL,        -- 0: none
    quota_count BIGINT NOT NULL,
    bytes_used BIGINT NOT NULL,         -- of live placements
    count_used BIGINT NOT NULL,
    keywords TEXT NOT NULL,             -- JSON array in the order of the bits
    indexed_modseq BIGINT NOT NULL,     -- how far the search index is
    removed_at BIGINT                   -- being deleted: no unit but the removal touches it any more
) WITHOUT ROWID;

CREATE TABLE mailbox (
    account_id TEXT NOT NULL,
    mailbox_id BIGINT NOT NULL,         -- 1 is INBOX
    parent_id BIGINT NOT NULL,          -- 0: top level
    name TEXT NOT NULL,                 -- of this level
    uidvalidity BIGINT NOT NULL,
    uidnext BIGINT NOT NULL,
    highest_modseq BIGINT NOT NULL,
    forgotten_modseq BIGINT NOT NULL,   -- expunges up to here may have been swept
    recent_uid BIGINT NOT NULL,         -- first UID no session was told of
    recent_before BIGINT NOT NULL,      -- what recent_uid was before it was last claimed
    special_use TEXT NOT NULL,
    selectable BIGINT NOT NULL,
    messages BIGINT NOT NULL,           -- counts of live placements
    unseen BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    size BIGINT NOT NULL,
    deleted_at BIGINT,                  -- the whole mailbox is gone; sweeping takes its rows
    PRIMARY KEY (account_id, mailbox_id)
) WITHOUT ROWID;

CREATE UNIQUE INDEX mailbox_name ON mailbox (account_id, parent_id, name) WHERE deleted_at IS NULL;
CREATE INDEX mailbox_deleted ON mailbox (deleted_at) WHERE deleted_at IS NOT NULL;

-- The highest UIDVALIDITY a full name had when it lost it: renaming onto that name must not show a lower one.
CREATE TABLE retired_name (
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    uidvalidity BIGINT NOT NULL,
    PRIMARY KEY (account_id, name)
) WITHOUT ROWID;

CREATE TABLE subscription (
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,                 -- full
    PRIMARY KEY (account_id, name)
) WITHOUT ROWID;

-- Columns by how often they are asked for: what stands behind long ones is slow to reach.
CREATE TABLE message (
    account_id TEXT NOT NULL,
    message_id BIGINT NOT NULL,
    thread_id BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    internaldate BIGINT NOT NULL,
    internaldate_offset BIGINT NOT NULL, -- minutes east
    header_size BIGINT NOT NULL,
    blob_id TEXT NOT NULL,
    blob_size BIGINT NOT NULL,
    blob_place TEXT NOT NULL,
    blob_encoding TEXT NOT NULL,
    blob_digest BLOB NOT NULL,
    cipher TEXT,                        -- reserved: how blob and facts are encrypted
    facts_version BIGINT NOT NULL,
    facts_blob TEXT,                    -- JSON of a BlobRef; then the six columns of facts are NULL
    prefix BLOB NOT NULL,
    envelope BLOB,
    bodystructure BLOB,
    sort BLOB,
    fields BLOB,
    body BLOB,
    parts BLOB,
    PRIMARY KEY (account_id, message_id)
);

CREATE TABLE placement (
    account_id TEXT NOT NULL,
    mailbox_id BIGINT NOT NULL,
    uid BIGINT NOT NULL,
    message_id BIGINT NOT NULL,
    flags BIGINT NOT NULL,
    modseq BIGINT NOT NULL,             -- of the last change, the expunge included
    created_modseq BIGINT NOT NULL,
    size BIGINT NOT NULL,               -- RFC822.SIZE: prefix and blob
    savedate BIGINT NOT NULL,
    uidl TEXT,                          -- NULL: made of UIDVALIDITY and UID
    expunged_modseq BIGINT,             -- NULL: live
    expunged_at BIGINT,
    PRIMARY KEY (account_id, mailbox_id, uid)
) WITHOUT ROWID;

CREATE INDEX placement_change ON placement (account_id, mailbox_id, modseq);
CREATE INDEX placement_message ON placement (account_id, message_id);
CREATE INDEX placement_expunged ON placement (expunged_at) WHERE expunged_at IS NOT NULL;

CREATE TABLE thread_ref (
    account_id TEXT NOT NULL,
    ref_hash BIGINT NOT NULL,           -- of a Message-ID that a message has or refers to
    thread_id BIGINT NOT NULL,
    PRIMARY KEY (account_id, ref_hash)
) WITHOUT ROWID;

-- Message bytes small enough to live here.
CREATE TABLE blob (
    blob_id TEXT PRIMARY KEY,
    encoding TEXT NOT NULL,
    data BLOB NOT NULL
);

-- Which messages need a blob, wherever its bytes lie.
CREATE TABLE blob_ref (
    blob_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    message_id BIGINT NOT NULL,
    PRIMARY KEY (blob_id, account_id, message_id)
) WITHOUT ROWID;

-- Blob files found without a reference, and since when: they go after the grace time. In partition 0 for all.
CREATE TABLE loose_blob (
    blob_id TEXT PRIMARY KEY,
    since BIGINT NOT NULL
) WITHOUT ROWID;

-- Delivery plans that were carried out: an apply that is repeated finds its copy here.
CREATE TABLE applied (
    account_id TEXT NOT NULL,
    envelope_id TEXT NOT NULL,
    recipient TEXT NOT NULL,
    mailbox_id BIGINT NOT NULL,
    uid BIGINT NOT NULL,
    modseq BIGINT NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, envelope_id, recipient)
) WITHOUT ROWID;

CREATE INDEX applied_age ON applied (applied_at);

CREATE TABLE lease (
    account_id TEXT NOT NULL,
    mailbox_id BIGINT NOT NULL,
    token TEXT NOT NULL,
    expires DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (account_id, mailbox_id)
) WITHOUT ROWID;
