-- Keys of the addresses that stand for senders of forwarded mail. Whoever reads one can have this server send to anybody.
CREATE TABLE forwarding_key (
    created DOUBLE PRECISION NOT NULL PRIMARY KEY, -- UTC seconds
    secret TEXT NOT NULL -- hexadecimal
) WITHOUT ROWID;
