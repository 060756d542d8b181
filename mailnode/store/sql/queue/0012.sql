-- Schema 12: what the reverse-path of a message that came through a list may be told: '' (all), 'failures', 'none'.

ALTER TABLE envelope ADD COLUMN notices TEXT NOT NULL DEFAULT '';
