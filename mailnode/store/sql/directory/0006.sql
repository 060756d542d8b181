-- Schema 6: what an operator said of one account's sending; NULL: what holds for all.

CREATE TABLE sending_limit (
    account_id TEXT PRIMARY KEY,
    recipients BIGINT,
    messages BIGINT,
    strangers BIGINT
);
