
-- Schema 3: what changed in a whole account after a modseq.

-- When the mailbox was deleted; NULL: it stands, or was deleted under an older schema.
ALTER TABLE mailbox ADD COLUMN deleted_modseq BIGINT;

-- Changes up to here cannot be told any more: deleted mailboxes were swept.
ALTER TABLE account ADD COLUMN forgotten_modseq BIGINT NOT NULL DEFAULT 0;
