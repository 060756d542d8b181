-- Schema 14: the first words of a message beside its reference to its content. In its own row they made longer what is read for
-- everything else about it. Those that stand there are read there.
-- Read by 13.

ALTER TABLE blob_ref ADD COLUMN preview BLOB; -- NULL: of facts in a blob, of a reference to that blob, or of a version before
