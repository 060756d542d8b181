-- Schema 11: when each entry was set (RFC 5465 5.6), by the account's modseq.

ALTER TABLE annotation ADD COLUMN modseq BIGINT NOT NULL DEFAULT 0;
