"""A mail server: SMTP, submission, queue and relay, IMAP and POP3 over one store."""
