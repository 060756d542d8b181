-- Who may send as an address that is not theirs alone: an alias with several targets, another account's address, or
-- (key "@domain") any address of a domain. An administrator gives it.
CREATE TABLE sender_grant (
    address_key TEXT NOT NULL,
    account_id TEXT NOT NULL,
    written TEXT NOT NULL,
    PRIMARY KEY (address_key, account_id)
) WITHOUT ROWID;

CREATE INDEX sender_grant_by_account ON sender_grant (account_id, address_key);
