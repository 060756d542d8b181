-- Schema 9: whose mailboxes somebody may find something in for them. What it is stands with the mailboxes.

CREATE TABLE sharing (
    reader TEXT NOT NULL,               -- an account, or anyone
    owner TEXT NOT NULL,                -- an account
    PRIMARY KEY (reader, owner)
) WITHOUT ROWID;

CREATE INDEX sharing_owner ON sharing (owner);
