-- Keys that sign the mail of a domain (DKIM). Whoever reads this file, or a copy of it, can sign as the domain.
CREATE TABLE dkim_key (
    domain TEXT NOT NULL, -- name of a domain
    selector TEXT NOT NULL,
    algorithm TEXT NOT NULL, -- rsa or ed25519
    state TEXT NOT NULL, -- next, active, retired
    created DOUBLE PRECISION NOT NULL, -- UTC seconds
    public_key TEXT NOT NULL, -- base64, as its record says it
    private_key TEXT NOT NULL, -- PKCS 8, PEM
    PRIMARY KEY (domain, selector)
) WITHOUT ROWID;
