-- Schema 5: what an operator gave up: '', 'last try', 'bounced', 'dropped'.

ALTER TABLE recipient ADD COLUMN given_up TEXT NOT NULL DEFAULT '';
