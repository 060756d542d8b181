-- Schema 4: an account's mailbox for a special use is looked for with each message that goes there.

CREATE INDEX mailbox_use ON mailbox (account_id, special_use) WHERE special_use <> '';
