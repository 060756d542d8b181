-- Schema 8: what stands on top of many copies of one message is written once.

-- The number of the recipient of the same envelope whose plan this one has too; NULL: its own.
ALTER TABLE recipient ADD COLUMN plan_of BIGINT;
