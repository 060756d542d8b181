"""The life of a session, whatever its protocol: what is written once for SMTP, IMAP and POP3."""
