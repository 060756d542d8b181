-- Schema 8: what the IMAP programs of one account are not told of.
ALTER TABLE account ADD COLUMN hidden TEXT NOT NULL DEFAULT ''; -- names of capabilities, separated by spaces
