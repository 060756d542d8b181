-- Schema 7: what was found damaged in the store, until it is mended or acknowledged. What is lost of it is found again.

CREATE TABLE damage (
    name TEXT PRIMARY KEY, -- a blob's id, a database's file, what was compared; or what was set aside
    words TEXT NOT NULL,
    acknowledged BIGINT NOT NULL -- UTC microseconds; 0: it was not
) WITHOUT ROWID;
