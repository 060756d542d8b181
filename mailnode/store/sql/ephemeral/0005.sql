-- Schema 5: what came of mail by DMARC. Written without sync; what is lost is counted anew.

-- Days of domains that are to be reported (RFC 9990).
CREATE TABLE dmarc_report (
    day BIGINT NOT NULL, -- since 1970, UTC
    domain TEXT NOT NULL, -- that has the record, in A-labels
    due DOUBLE PRECISION NOT NULL, -- UTC seconds of the next try to send it
    begun DOUBLE PRECISION NOT NULL, -- of the first try, 0 before it
    tries BIGINT NOT NULL,
    PRIMARY KEY (day, domain)
) WITHOUT ROWID;

CREATE INDEX dmarc_report_by_due ON dmarc_report (due);

-- What they say.
CREATE TABLE dmarc_result (
    day BIGINT NOT NULL,
    domain TEXT NOT NULL,
    digest TEXT NOT NULL, -- of all columns that follow but the record and the last; '' for those left out
    source TEXT NOT NULL, -- IP address
    author TEXT NOT NULL, -- domain
    reverse_path TEXT NOT NULL, -- domain, '' for the null sender
    disposition TEXT NOT NULL,
    dkim BIGINT NOT NULL, -- 1: passes in alignment
    spf BIGINT NOT NULL,
    override TEXT NOT NULL, -- by RFC 9990 3.1.6
    comment TEXT NOT NULL,
    identifiers TEXT NOT NULL, -- JSON: lists of kind, domain, result, selector
    record TEXT NOT NULL, -- JSON: the last that was seen
    messages BIGINT NOT NULL,
    PRIMARY KEY (day, domain, digest)
) WITHOUT ROWID;

-- Reports of others about domains here (RFC 9990, RFC 8460).
CREATE TABLE received_report (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL, -- dmarc or tls
    organization TEXT NOT NULL,
    contact TEXT NOT NULL,
    identifier TEXT NOT NULL, -- what they call it
    domain TEXT NOT NULL, -- that it is about, in A-labels
    begun BIGINT NOT NULL, -- UTC seconds
    ended BIGINT NOT NULL,
    published TEXT NOT NULL, -- the policy they saw, in words
    left_out BIGINT NOT NULL, -- messages or connections of rows that were not kept
    received DOUBLE PRECISION NOT NULL, -- UTC seconds
    sender TEXT NOT NULL, -- domain of the mail
    verified BIGINT NOT NULL, -- 1: DMARC vouches for it
    passed BIGINT NOT NULL, -- messages or connections
    failed BIGINT NOT NULL
) WITHOUT ROWID;

CREATE UNIQUE INDEX received_report_by_name ON received_report (kind, sender, organization, domain, identifier);
CREATE INDEX received_report_by_received ON received_report (received);

CREATE TABLE received_row (
    report TEXT NOT NULL,
    position BIGINT NOT NULL,
    source TEXT NOT NULL, -- IP address
    about TEXT NOT NULL, -- domain
    passed BIGINT NOT NULL,
    result TEXT NOT NULL,
    messages BIGINT NOT NULL, -- or connections
    detail TEXT NOT NULL,
    PRIMARY KEY (report, position)
) WITHOUT ROWID;
