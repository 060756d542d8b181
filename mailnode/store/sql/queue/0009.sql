-- Schema 9: the primary address of the account that submitted a message, by which routes choose; '' where none did.

ALTER TABLE envelope ADD COLUMN account TEXT NOT NULL DEFAULT '';
