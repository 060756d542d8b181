-- Who hears of bounces of what an alias sends to other servers; empty: who sent it.
ALTER TABLE address ADD COLUMN owner TEXT NOT NULL DEFAULT '';
