-- Schema 11: what a sender wants of TLS on all further ways (RFC 8689): '', 'required', 'optional'.

ALTER TABLE envelope ADD COLUMN tls TEXT NOT NULL DEFAULT '';
