-- Schema 6: the first words of each message; NULL where its facts are in a blob, or older.

ALTER TABLE message ADD COLUMN preview BLOB;
