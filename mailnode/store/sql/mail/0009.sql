-- Schema 9: the search index. What is not in it is read: it may be behind, or missing. Words: docs/store.rst.

-- Messages up to this id were indexed, or found to be gone.
ALTER TABLE account ADD COLUMN indexed_message BIGINT NOT NULL DEFAULT 0;

-- A run of messages.
CREATE TABLE search_segment (
    account_id TEXT NOT NULL,
    first_message BIGINT NOT NULL,
    last_message BIGINT NOT NULL,
    version BIGINT NOT NULL,            -- of the texts and their terms; others count as not indexed
    count BIGINT NOT NULL,              -- of messages
    removed BIGINT NOT NULL,            -- of these, that are gone for good: it is to be made anew
    octets BIGINT NOT NULL,             -- of its terms, unpacked
    messages BLOB NOT NULL,             -- their ids, eight octets each
    unknown BLOB NOT NULL,              -- places of those that are not indexed after all, two octets each
    PRIMARY KEY (account_id, first_message)
);

CREATE INDEX search_segment_removed ON search_segment (account_id) WHERE removed > 0;

-- Its terms, and where they stand.
CREATE TABLE search_terms (
    account_id TEXT NOT NULL,
    first_message BIGINT NOT NULL,
    zone BIGINT NOT NULL,               -- 0 fields that are shown, 1 other header, 2 body
    octets BIGINT NOT NULL,             -- unpacked
    data BLOB NOT NULL,
    PRIMARY KEY (account_id, first_message, zone)
);
