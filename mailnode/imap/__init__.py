"""IMAP4rev1 and its extensions."""
