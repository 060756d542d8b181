-- Schema 13: why mail waits, in a word (values/reason.py); '' where it was sent, or not tried since.

ALTER TABLE recipient ADD COLUMN reason TEXT NOT NULL DEFAULT '';

ALTER TABLE attempt ADD COLUMN reason TEXT NOT NULL DEFAULT '';

ALTER TABLE past ADD COLUMN reason TEXT NOT NULL DEFAULT '';
