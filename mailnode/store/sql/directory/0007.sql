-- Schema 7: how long a key has been what it is, and how long DNS has had its record.
ALTER TABLE dkim_key ADD COLUMN changed DOUBLE PRECISION NOT NULL DEFAULT 0; -- UTC seconds its state was set; 0: not known
ALTER TABLE dkim_key ADD COLUMN ready_at DOUBLE PRECISION NOT NULL DEFAULT 0; -- UTC seconds; 0: DNS was not seen to have it
