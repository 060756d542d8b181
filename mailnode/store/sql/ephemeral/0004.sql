-- Schema 4: how connections to the servers of other domains fared. Written without sync; what is lost is counted anew.

-- Days of domains that are to be reported (RFC 8460).
CREATE TABLE tls_report (
    day BIGINT NOT NULL, -- since 1970, UTC
    domain TEXT NOT NULL, -- in A-labels
    due DOUBLE PRECISION NOT NULL, -- UTC seconds of the next try to send it
    begun DOUBLE PRECISION NOT NULL, -- of the first try, 0 before it
    tries BIGINT NOT NULL,
    PRIMARY KEY (day, domain)
) WITHOUT ROWID;

CREATE INDEX tls_report_by_due ON tls_report (due);

-- What they say.
CREATE TABLE tls_result (
    day BIGINT NOT NULL,
    domain TEXT NOT NULL,
    digest TEXT NOT NULL, -- of all columns that follow but the last
    kind TEXT NOT NULL, -- of the policy: tlsa, sts or no-policy-found
    publisher TEXT NOT NULL, -- of the policy
    policy TEXT NOT NULL, -- with line feeds between its strings
    host TEXT NOT NULL, -- the MX; of successes neither it nor what follows is kept
    address TEXT NOT NULL, -- its IP address
    source TEXT NOT NULL, -- our own
    result TEXT NOT NULL, -- by RFC 8460 4.3, '' for success
    reason TEXT NOT NULL,
    sessions BIGINT NOT NULL,
    PRIMARY KEY (day, domain, digest)
) WITHOUT ROWID;

-- How well connections to the servers of domains were encrypted of late.
CREATE TABLE tls_memory (
    domain TEXT NOT NULL,
    host TEXT NOT NULL,
    verified DOUBLE PRECISION NOT NULL, -- UTC seconds of the last whose certificate was as it should be; 0 for never
    encrypted DOUBLE PRECISION NOT NULL, -- of the last with TLS at all; 0 for never
    seen DOUBLE PRECISION NOT NULL, -- of the last
    PRIMARY KEY (domain, host)
) WITHOUT ROWID;

CREATE INDEX tls_memory_by_seen ON tls_memory (seen);

-- The last of each domain that was worse than what was remembered.
CREATE TABLE tls_downgrade (
    domain TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    address TEXT NOT NULL,
    was TEXT NOT NULL,
    is_now TEXT NOT NULL,
    since DOUBLE PRECISION NOT NULL, -- UTC seconds when it was last as good as that
    at DOUBLE PRECISION NOT NULL, -- when it was not
    result TEXT NOT NULL, -- by RFC 8460 4.3, '' where no policy asked for more
    reason TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX tls_downgrade_by_at ON tls_downgrade (at);
