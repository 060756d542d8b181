-- Schema 10: who sent what is gone from the queue, and when a notice about it came back as mail.
ALTER TABLE past ADD COLUMN account_id TEXT NOT NULL DEFAULT '';
ALTER TABLE past ADD COLUMN returned_at DOUBLE PRECISION NOT NULL DEFAULT 0; -- UTC seconds; 0: none did
