-- Schema 8: how many mailboxes an account may have; 0: as many as any.

ALTER TABLE account ADD COLUMN quota_mailboxes BIGINT NOT NULL DEFAULT 0;
